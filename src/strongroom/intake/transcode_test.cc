#include "strongroom/intake/transcode.h"

#include <gtest/gtest.h>

namespace strongroom::intake {
namespace {

std::unique_ptr<TextStream> stream_of(std::string raw, Encoding encoding = Encoding::kAuto) {
  auto stream = TextStream::make(std::move(*ByteSource::from_text(std::move(raw))), encoding);
  EXPECT_TRUE(stream);
  return stream ? std::move(*stream) : nullptr;
}

std::string all_of(TextStream& stream) {
  for (;;) {
    auto more = stream.more();
    EXPECT_TRUE(more);
    if (!more || !*more) return std::string(stream.text());
  }
}

// "王,x\n" and U+20000 (four bytes in GB 18030).
constexpr const char* kGb = "\xcd\xf5,x\n\x95\x32\x82\x36\n";
constexpr const char* kText = "王,x\n\xf0\xa0\x80\x80\n";

TEST(TranscodeTest, Gb18030BecomesUtf8) {
  auto stream = stream_of(kGb, Encoding::kGb18030);
  EXPECT_EQ(all_of(*stream), kText);
}

TEST(TranscodeTest, AutoTellsEncodingsApart) {
  EXPECT_EQ(stream_of("plain\n")->encoding(), Encoding::kUtf8);
  EXPECT_EQ(stream_of("王\n")->encoding(), Encoding::kUtf8);
  EXPECT_EQ(stream_of(kGb)->encoding(), Encoding::kGb18030);
  EXPECT_EQ(stream_of("\x84\x31\x95\x33"
                      "a\n")
                ->encoding(),
            Encoding::kGb18030);
  EXPECT_EQ(stream_of(std::string("\xff\xfe"
                                  "a\0\n\0",
                                  6))
                ->encoding(),
            Encoding::kUtf16);
  EXPECT_EQ(stream_of("")->encoding(), Encoding::kUtf8);
}

TEST(TranscodeTest, AutoIsNotMisledByACharacterCutAt64KiB) {
  for (size_t pad : {0u, 1u, 2u, 3u}) {
    std::string raw(pad, 'a');
    while (raw.size() < 70'000) raw += "王";
    EXPECT_EQ(stream_of(raw)->encoding(), Encoding::kUtf8) << pad;
    auto stream = stream_of(raw);
    EXPECT_EQ(all_of(*stream), raw);
  }
}

TEST(TranscodeTest, ByteOrderMarksAreNotText) {
  for (const std::string& raw : {std::string("\xef\xbb\xbf"
                                             "a\n"),
                                 std::string("\x84\x31\x95\x33"
                                             "a\n"),
                                 std::string("\xff\xfe"
                                             "a\0\n\0",
                                             6),
                                 std::string("\xfe\xff\0a\0\n", 6)}) {
    auto stream = stream_of(raw);
    EXPECT_EQ(all_of(*stream), "a\n");
    EXPECT_EQ(stream->raw_offset(2), raw.size());
  }
}

TEST(TranscodeTest, Utf16WithoutAMarkIsRefused) {
  EXPECT_EQ(TextStream::make(std::move(*ByteSource::from_text("a")), Encoding::kUtf16).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(TranscodeTest, Utf16PairsAndHalves) {
  // U+20000, then a lone high surrogate, then "b", little-endian.
  auto stream =
      stream_of(std::string("\xff\xfe\x40\xd8\x00\xdc\n\0\x40\xd8"
                            "b\0\n\0",
                            14));
  const std::string text = all_of(*stream);
  EXPECT_EQ(text.substr(0, 5), "\xf0\xa0\x80\x80\n");
  EXPECT_NE(text.find('\xff'), std::string::npos);
  EXPECT_EQ(text.substr(text.size() - 2), "b\n");
}

TEST(TranscodeTest, BrokenBytesBecomeFfAndNeverSwallowALineEnd) {
  for (const char* broken : {"\x81", "\x81\x30", "\x81\x30\x81", "\xff", "\x80\xff"}) {
    auto stream = stream_of(std::string("ok\n") + broken + "\nok\n", Encoding::kGb18030);
    const std::string text = all_of(*stream);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3) << text;
    EXPECT_EQ(text.substr(text.size() - 4), "\nok\n");
    EXPECT_NE(text.find('\xff'), std::string::npos);
    auto last = stream_of(broken, Encoding::kGb18030);
    EXPECT_NE(all_of(*last).find('\xff'), std::string::npos) << "at the end of the source";
  }
}

TEST(TranscodeTest, RawOffsetsAreThoseOfTheSource) {
  std::string raw;
  for (int i = 0; i < 40'000; ++i) raw += kGb;
  auto stream = stream_of(raw, Encoding::kGb18030);
  uint64_t raw_end = 0;
  uint64_t lines = 0;
  for (;;) {
    const size_t feed = stream->text().find('\n');
    if (feed == std::string_view::npos) {
      auto more = stream->more();
      ASSERT_TRUE(more);
      if (!*more) break;
      continue;
    }
    raw_end += 5;  // Both lines of kGb are that long.
    ++lines;
    ASSERT_EQ(stream->raw_offset(feed + 1), raw_end);
    stream->consume(feed + 1);
    ASSERT_EQ(stream->raw_offset(0), raw_end);
  }
  EXPECT_EQ(lines, 80'000u);
  EXPECT_EQ(raw_end, raw.size());
}

TEST(TranscodeTest, EncodingNames) {
  EXPECT_EQ(*parse_encoding("UTF-8"), Encoding::kUtf8);
  EXPECT_EQ(*parse_encoding("GB18030"), Encoding::kGb18030);
  EXPECT_EQ(*parse_encoding("gbk"), Encoding::kGb18030);
  EXPECT_EQ(*parse_encoding("auto"), Encoding::kAuto);
  EXPECT_EQ(parse_encoding("latin1").error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace strongroom::intake
