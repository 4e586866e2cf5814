#include "strongroom/intake/transcode.h"

#include <simdjson.h>
#include <unicode/ucnv.h>

#include <algorithm>

#include "strongroom/base/check.h"

namespace strongroom::intake {
namespace {

constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";
constexpr std::string_view kUtf16LittleMark = "\xff\xfe";
constexpr std::string_view kUtf16BigMark = "\xfe\xff";
constexpr std::string_view kGb18030Mark = "\x84\x31\x95\x33";
constexpr char kInvalid = '\xff';

// Whether `head` is UTF-8 up to a character its end may cut.
bool begins_as_utf8(std::string_view head) {
  for (size_t cut = 0; cut < 4 && cut <= head.size(); ++cut) {
    const std::string_view tail = head.substr(head.size() - cut);
    if (cut > 0 && static_cast<unsigned char>(tail[0]) < 0xc0) continue;  // Not a lead byte.
    if (simdjson::validate_utf8(head.substr(0, head.size() - cut))) return true;
  }
  return false;
}

Encoding detect(std::string_view head) {
  if (head.starts_with(kUtf8Mark)) return Encoding::kUtf8;
  if (head.starts_with(kUtf16LittleMark) || head.starts_with(kUtf16BigMark))
    return Encoding::kUtf16;
  if (head.starts_with(kGb18030Mark)) return Encoding::kGb18030;
  return begins_as_utf8(head) ? Encoding::kUtf8 : Encoding::kGb18030;
}

}  // namespace

// An ICU converter that stops at what is not valid, and the half of a surrogate pair it may have
// left.
struct TextStream::Converter {
  explicit Converter(const char* name) {
    UErrorCode status = U_ZERO_ERROR;
    icu = ucnv_open(name, &status);
    SR_CHECK(U_SUCCESS(status), "ICU lacks a converter that it always has");
    ucnv_setToUCallBack(icu, UCNV_TO_U_CALLBACK_STOP, nullptr, nullptr, nullptr, &status);
    SR_CHECK(U_SUCCESS(status), "ICU refuses a callback of its own");
  }
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;
  ~Converter() { ucnv_close(icu); }

  // Where a line feed ends in `raw`, or 0.
  size_t line_end(Bytes raw) const {
    if (unit == 1) {
      const void* found = raw.empty() ? nullptr : memchr(raw.data(), '\n', raw.size());
      return found == nullptr
                 ? 0
                 : static_cast<size_t>(static_cast<const uint8_t*>(found) - raw.data()) + 1;
    }
    for (size_t i = 0; i + 1 < raw.size(); i += 2) {
      if (raw[i + (big ? 1 : 0)] == '\n' && raw[i + (big ? 0 : 1)] == 0) return i + 2;
    }
    return 0;
  }

  UConverter* icu = nullptr;
  size_t unit = 1;  // Bytes of a code unit.
  bool big = false;
  char32_t high = 0;
};

Result<Encoding> parse_encoding(std::string_view name) {
  std::string folded;
  for (char c : name) {
    if (c != '-') folded.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  }
  if (folded == "auto") return Encoding::kAuto;
  if (folded == "utf8") return Encoding::kUtf8;
  if (folded == "gb18030" || folded == "gbk" || folded == "gb2312") return Encoding::kGb18030;
  if (folded == "utf16") return Encoding::kUtf16;
  return make_error(ErrorCode::kInvalidArgument,
                    "unknown encoding; there are auto, utf-8, gb18030 and utf-16");
}

TextStream::TextStream(std::unique_ptr<ByteSource> source, Encoding encoding)
    : source_(std::move(source)), encoding_(encoding) {}

TextStream::~TextStream() = default;

Result<std::unique_ptr<TextStream>> TextStream::make(std::unique_ptr<ByteSource> source,
                                                     Encoding encoding) {
  const std::string_view head = as_text(source->head());
  if (encoding == Encoding::kAuto) encoding = detect(head);
  std::unique_ptr<TextStream> stream(new TextStream(std::move(source), encoding));
  size_t mark = 0;
  if (encoding == Encoding::kUtf8) {
    if (head.starts_with(kUtf8Mark)) mark = kUtf8Mark.size();
  } else if (encoding == Encoding::kGb18030) {
    if (head.starts_with(kGb18030Mark)) mark = kGb18030Mark.size();
    stream->converter_ = std::make_unique<Converter>("gb18030");
  } else {
    const bool big = head.starts_with(kUtf16BigMark);
    if (!big && !head.starts_with(kUtf16LittleMark)) {
      return make_error(ErrorCode::kInvalidArgument,
                        "a UTF-16 source must begin with a byte order mark; convert it to UTF-8");
    }
    mark = 2;
    stream->converter_ = std::make_unique<Converter>(big ? "UTF-16BE" : "UTF-16LE");
    stream->converter_->unit = 2;
    stream->converter_->big = big;
  }
  stream->raw_consumed_ = mark;
  SR_ASSIGN(const Bytes first, stream->source_->read());
  stream->decode(first.subspan(std::min(mark, first.size())));
  return stream;
}

void TextStream::reserve(size_t n) {
  if (begin_ > 0) {
    memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const size_t wanted = end_ + n + kPadding;
  if (buffer_.size() < wanted)
    buffer_.resize(std::max(wanted, std::min(2 * buffer_.size(), wanted + (1u << 20))));
}

void TextStream::append(const char* bytes, size_t n) {
  if (n == 0) return;  // An empty source has no buffer yet, and memcpy wants one.
  if (end_ + n + kPadding > buffer_.size()) reserve(n);
  memcpy(buffer_.data() + end_, bytes, n);
  end_ += n;
}

Result<bool> TextStream::more() {
  SR_ASSIGN(const Bytes raw, source_->read());
  if (raw.empty()) {
    // What the last line lacks becomes visible now.
    const size_t before = end_ - begin_;
    if (converter_ != nullptr) decode_piece({}, true);
    return end_ - begin_ > before;
  }
  decode(raw);
  return true;
}

void TextStream::decode(Bytes raw) {
  if (converter_ == nullptr) {
    reserve(raw.size());
    append(as_text(raw).data(), raw.size());
    return;
  }
  reserve(2 * raw.size());
  const uint64_t raw_end = source_->offset();
  while (!raw.empty()) {
    const size_t line = converter_->line_end(raw);
    if (line == 0) return decode_piece(raw, false);
    // The line feed apart, so that no broken character before it can swallow it.
    decode_piece(raw.first(line - converter_->unit), true);
    append("\n", 1);
    raw = raw.subspan(line);
    line_ends_.push_back({consumed_ + (end_ - begin_), raw_end - raw.size()});
  }
}

void TextStream::decode_piece(Bytes raw, bool flush) {
  const auto* at = reinterpret_cast<const char*>(raw.data());
  const char* const end = at + raw.size();
  UChar units[1024];
  char text[std::size(units) * 3];  // A pair of units makes four bytes, one makes three at most.
  for (;;) {
    UErrorCode status = U_ZERO_ERROR;
    UChar* unit_end = units;
    ucnv_toUnicode(converter_->icu, &unit_end, units + std::size(units), &at, end, nullptr, flush,
                   &status);
    char* out = text;
    for (const UChar* unit = units; unit != unit_end; ++unit) {
      char32_t c = *unit;
      if (c < 0x80) {
        *out++ = static_cast<char>(c);
        continue;
      }
      if (c >= 0xd800 && c < 0xdc00) {
        converter_->high = c;
        continue;
      }
      if (c >= 0xdc00 && c < 0xe000) {
        c = 0x10000 + ((converter_->high - 0xd800) << 10) + (c - 0xdc00);
        *out++ = static_cast<char>(0xf0 | (c >> 18));
        *out++ = static_cast<char>(0x80 | ((c >> 12) & 0x3f));
      } else if (c >= 0x800) {
        *out++ = static_cast<char>(0xe0 | (c >> 12));
      }
      *out++ = static_cast<char>(c < 0x800 ? 0xc0 | (c >> 6) : 0x80 | ((c >> 6) & 0x3f));
      *out++ = static_cast<char>(0x80 | (c & 0x3f));
    }
    append(text, static_cast<size_t>(out - text));
    if (status == U_BUFFER_OVERFLOW_ERROR) continue;
    if (U_SUCCESS(status)) return;
    // Each error takes in at least one byte, now or from those held back before, so this ends.
    append(&kInvalid, 1);
  }
}

void TextStream::consume(size_t n) {
  SR_CHECK(n <= end_ - begin_, "consumed more than there is");
  const uint64_t to = consumed_ + n;
  if (converter_ == nullptr) {
    raw_consumed_ += n;
  } else {
    uint64_t line_end = 0;
    while (!line_ends_.empty() && line_ends_.front().text <= to) {
      line_end = line_ends_.front().text;
      raw_consumed_ = line_ends_.front().raw;
      line_ends_.pop_front();
    }
    // Inside a line too long to keep: no place to resume at, but its bytes can go.
    if (line_end != to && n == end_ - begin_) raw_consumed_ = source_->offset();
  }
  begin_ += n;
  consumed_ = to;
  source_->release(raw_consumed_);
}

uint64_t TextStream::raw_offset(size_t n) const {
  if (converter_ == nullptr) return raw_consumed_ + n;
  if (n == 0) return raw_consumed_;
  const uint64_t at = consumed_ + n;
  const auto found = std::ranges::lower_bound(line_ends_, at, std::ranges::less{},
                                              [](const LineEnd& end) { return end.text; });
  return found != line_ends_.end() && found->text == at ? found->raw : source_->offset();
}

Result<uint64_t> TextStream::skip_to(uint64_t raw_offset, Bytes digest) {
  uint64_t lines = 0;
  SR_TRY(source_->skip(raw_consumed_, raw_offset, digest, [&](Bytes passed) {
    if (converter_ == nullptr) {
      lines += static_cast<uint64_t>(std::ranges::count(passed, '\n'));
      return;
    }
    while (const size_t line = converter_->line_end(passed)) {
      ++lines;
      passed = passed.subspan(line);
    }
  }));
  begin_ = end_ = 0;
  line_ends_.clear();
  raw_consumed_ = raw_offset;
  if (converter_ != nullptr) {
    ucnv_reset(converter_->icu);
    converter_->high = 0;
  }
  return lines;
}

}  // namespace strongroom::intake
