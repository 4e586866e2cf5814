// A source as UTF-8 text, whatever its encoding, with the way back from a line's end to its raw
// byte offset.
//
// Bytes that are not valid in the source's encoding come out as one 0xFF each time, which UTF-8
// never holds: a reader that validates its rows rejects that row and no other. Sources said to be
// UTF-8 come out as they are, valid or not.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/intake/source.h"

namespace strongroom::intake {

enum class Encoding : uint8_t {
  kAuto,  // A byte order mark; else UTF-8 if the first 64 KiB are; else GB 18030.
  kUtf8,
  kGb18030,  // And so GBK and GB 2312.
  kUtf16,    // With a byte order mark.
};

// "auto", "utf-8", "gb18030", "utf-16"; also without hyphen, and "gbk", "gb2312". kInvalidArgument.
Result<Encoding> parse_encoding(std::string_view name);

// Not thread-safe.
class TextStream {
 public:
  // So many bytes behind text() may be read (not written), as simdjson wants it.
  static constexpr size_t kPadding = 128;

  // kInvalidArgument: kUtf16 without a byte order mark.
  static Result<std::unique_ptr<TextStream>> make(std::unique_ptr<ByteSource> source,
                                                  Encoding encoding);
  ~TextStream();

  Encoding encoding() const { return encoding_; }  // Never kAuto.
  // What is decoded and not consumed. more() moves it, consume() shortens it.
  std::string_view text() const { return {buffer_.data() + begin_, end_ - begin_}; }
  char* mutable_text() { return buffer_.data() + begin_; }
  // Decodes at most a chunk more. False at the end of the source.
  Result<bool> more();
  void consume(size_t n);
  // The raw offset behind the first n bytes of text(), where they end a line, or are none, or all
  // at the source's end.
  uint64_t raw_offset(size_t n) const;
  // Goes on at a raw offset that ends a line, see ByteSource::skip; returns the lines passed over.
  // From where text() is.
  Result<uint64_t> skip_to(uint64_t raw_offset, Bytes digest);

  ByteSource& source() { return *source_; }

 private:
  struct Converter;
  struct LineEnd {
    uint64_t text;
    uint64_t raw;
  };

  TextStream(std::unique_ptr<ByteSource> source, Encoding encoding);
  void reserve(size_t n);
  void append(const char* bytes, size_t n);
  void decode(Bytes raw);
  void decode_piece(Bytes raw, bool flush);

  std::unique_ptr<ByteSource> source_;
  Encoding encoding_;
  std::unique_ptr<Converter> converter_;  // None for UTF-8.
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  uint64_t consumed_ = 0;          // Text bytes before begin_.
  uint64_t raw_consumed_ = 0;      // Raw bytes before begin_, where that is known.
  std::deque<LineEnd> line_ends_;  // In text(), with an encoding other than UTF-8.
};

}  // namespace strongroom::intake
