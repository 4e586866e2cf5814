// The log's segments as someone else may have left them: reading, telling a torn tail, opening
// bodies.
#include "strongroom/base/check.h"
#include "strongroom/tlog/entry.h"
#include "strongroom/tlog/segment.h"

using namespace strongroom;
using namespace strongroom::tlog;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  SegmentReader reader(size, [&input](uint64_t offset, uint64_t count) {
    return Result<std::string>(input.substr(offset, count));
  });
  uint64_t next = 0;
  if (const auto first = parse_segment_header(as_bytes(input))) {
    next = *first;
    reader.skip(kSegmentHeaderSize);
  }
  const SealingKey key;
  Frame frame;
  while (true) {
    const auto bytes = reader.peek(kFrameMax);
    if (!bytes || parse_frame(*bytes, &frame) != FrameState::kWhole) break;
    SR_CHECK(frame.size <= bytes->size(), "a frame beyond its bytes");
    Entry entry;
    if (const auto head = parse_entry(frame.entry)) {
      SR_CHECK(std::ranges::equal(encode_entry(*head), frame.entry), "two forms of one entry");
      (void)open_frame(key, frame, *head, &entry).has_value();
    }
    reader.skip(frame.size);
  }
  (void)is_torn_tail(reader, next).has_value();

  // Bodies as such: no fuzzer forges what seals them.
  Rho rho;
  std::vector<std::string> items;
  if (size >= 4) {
    const auto n = load_be<uint32_t>(data);
    if (parse_body(as_bytes(input).subspan(4), n, &rho, &items)) {
      SR_CHECK(body_size(items) == size - 4, "a body of another size");
    }
  }
  return 0;
}
