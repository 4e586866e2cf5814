// Any bytes in any encoding: line feeds survive, offsets rise and end with the source.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "strongroom/intake/transcode.h"

using strongroom::intake::ByteSource;
using strongroom::intake::Encoding;
using strongroom::intake::TextStream;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string raw(reinterpret_cast<const char*>(data + 1), size - 1);
  auto made =
      TextStream::make(std::move(*ByteSource::from_text(raw)), static_cast<Encoding>(data[0] % 4));
  if (!made) return 0;
  TextStream& stream = **made;
  uint64_t lines = 0;
  uint64_t offset = 0;
  for (;;) {
    const size_t feed = stream.text().find('\n');
    if (feed != std::string_view::npos) {
      const uint64_t behind = stream.raw_offset(feed + 1);
      if (behind <= offset || behind > raw.size()) abort();
      offset = behind;
      stream.consume(feed + 1);
      if (stream.raw_offset(0) != offset) abort();
      ++lines;
      continue;
    }
    auto more = stream.more();
    if (!more) abort();
    if (!*more) break;
  }
  if (stream.raw_offset(stream.text().size()) != raw.size() &&
      !(stream.text().empty() && offset <= raw.size()))
    abort();
  if (stream.encoding() != Encoding::kUtf16 &&
      lines != static_cast<uint64_t>(std::ranges::count(raw, '\n')))
    abort();
  return 0;
}
