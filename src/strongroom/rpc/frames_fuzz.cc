// The first byte says how the rest is cut; frames must come out the same as from one piece.
#include <algorithm>
#include <cstring>
#include <vector>

#include "strongroom/rpc/frames.h"

namespace {

std::vector<std::string> frames_of(strongroom::Bytes bytes, size_t piece) {
  strongroom::rpc::FrameReader reader(64u << 10);
  std::vector<std::string> out;
  while (!bytes.empty()) {
    const auto space = reader.space();
    const size_t size = std::min({piece, space.size(), bytes.size()});
    std::memcpy(space.data(), bytes.data(), size);
    reader.filled(size);
    bytes = bytes.subspan(size);
    for (;;) {
      const auto frame = reader.next();
      if (!frame) return out;
      if (!*frame) break;
      out.emplace_back(strongroom::as_text(**frame));
      strongroom::v1::CallBatch batch;
      (void)batch.ParseFromArray((*frame)->data(), static_cast<int>((*frame)->size()));
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const strongroom::Bytes stream(data + 1, size - 1);
  SR_CHECK(frames_of(stream, size_t{1} + data[0]) == frames_of(stream, stream.size() + 1),
           "frames do not depend on how the stream was cut");
  return 0;
}
