// The first byte picks: a state file as a disk might hold it, the frames behind a sound header, or
// records.
#include "strongroom/keyserver/state_file.h"
#include "strongroom/keyserver/state_records.h"

using namespace strongroom;
using namespace strongroom::keyserver;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  ByteArray<32> bytes{};
  bytes.fill(0xa5);
  const SealingKey wrap(bytes);
  const Bytes input(data + 1, size - 1);
  StateContents contents;
  switch (data[0] % 3) {
    case 0:
      (void)read_state_file(input, 5, wrap);
      break;
    case 1: {
      static const std::string kHeader = state_header(5, {&wrap, 1}, false, wrap);
      const std::string file = kHeader + std::string(as_text(input));
      const auto read = read_state_file(as_bytes(file), 5, wrap);
      SR_CHECK(read.has_value(), "the header is sound");
      for (const auto& frame : read->frames) {
        (void)read_records(frame.read(SecretAccess{}), contents);
      }
      break;
    }
    default:
      if (read_records(input, contents)) {
        // What was read is written and read again.
        StateContents back;
        for (const auto& part : write_contents(contents, kStateFrameMax)) {
          SR_CHECK(read_records(part.bytes(), back).has_value(), "own records read");
        }
        SR_CHECK(back.blocks == contents.blocks, "blocks come back");
        SR_CHECK(back.canaries.all() == contents.canaries.all(), "canaries come back");
      }
  }
  return 0;
}
