#include "strongroom/index/unicode_text.h"

#include <gtest/gtest.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <zlib.h>

#include <random>

#include "strongroom/index/normalise.h"
#include "strongroom/index/test_data.h"

namespace strongroom::index {
namespace {

void append_utf8(std::string& out, UChar32 c) {
  icu::UnicodeString(c).toUTF8String(out);
}

std::string by_icu(const icu::Normalizer2* form, const std::string& text) {
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  UErrorCode status = U_ZERO_ERROR;
  form->normalizeUTF8(0, text, sink, nullptr, status);
  EXPECT_TRUE(U_SUCCESS(status));
  return out;
}

const icu::Normalizer2* casefold_form() {
  UErrorCode status = U_ZERO_ERROR;
  return icu::Normalizer2::getNFKCCasefoldInstance(status);
}
const icu::Normalizer2* composed_form() {
  UErrorCode status = U_ZERO_ERROR;
  return icu::Normalizer2::getNFCInstance(status);
}

// Calls visit(c, text) for each character of the planes in use: 0 to 3, and the tags of plane 14.
template <class Visit>
void for_each_character(const Visit& visit) {
  for (UChar32 c = 0; c < 0xe1000; ++c) {
    if (c == 0xd800) c = 0xe000;
    if (c == 0x32400) c = 0xe0000;
    std::string text;
    append_utf8(text, c);
    visit(c, text);
    if (testing::Test::HasFailure()) FAIL() << std::hex << c;
  }
}

TEST(UnicodeTextTest, FastPathEqualsIcuForEveryCharacter) {
  const icu::Normalizer2* casefold = casefold_form();
  const icu::Normalizer2* composed = composed_form();
  for_each_character([&](UChar32, const std::string& text) {
    EXPECT_TRUE(valid_utf8(text));
    EXPECT_EQ(nfkc_casefold(text), by_icu(casefold, by_icu(composed, text)));
    EXPECT_EQ(nfc(text), by_icu(composed, text));
  });
}

TEST(UnicodeTextTest, FastPathEqualsIcuForMixedText) {
  const icu::Normalizer2* casefold = casefold_form();
  const icu::Normalizer2* composed = composed_form();
  std::mt19937_64 random(1);
  constexpr size_t kFast = 4;  // Those that the fast path is made for, or lie beside them.
  const UChar32 ranges[][2] = {{0x20, 0x7f},     {0x4000, 0x9fff}, {0xff00, 0xff61},
                               {0x3000, 0x3013}, {0xc0, 0x24f},    {0x300, 0x36f},
                               {0x1100, 0x11ff}, {0x3020, 0x30ff}, {0x10000, 0x1ffff}};
  for (int n = 0; n < 20'000; ++n) {
    std::string text;
    for (size_t left = random() % 12; left > 0; --left) {
      const auto& [from, to] = ranges[random() % (n % 2 == 0 ? kFast : std::size(ranges))];
      append_utf8(text, from + static_cast<UChar32>(random() % static_cast<uint64_t>(to - from)));
    }
    ASSERT_EQ(nfkc_casefold(text), by_icu(casefold, by_icu(composed, text)));
    ASSERT_EQ(nfc(text), by_icu(composed, text));
  }
}

TEST(UnicodeTextTest, WhiteSpaceIsThePropertyWhiteSpace) {
  for_each_character([](UChar32 c, const std::string& text) {
    if (u_isUWhiteSpace(c) != 0) {
      EXPECT_TRUE(has_space("a" + text));
      EXPECT_EQ(collapse_space(text + "a" + text + text + "b" + text), "a b");
    } else {
      EXPECT_FALSE(has_space(text));
      EXPECT_EQ(trim_space(text), text);
      EXPECT_EQ(collapse_space(text), text);
    }
  });
}

TEST(UnicodeTextTest, CollapsesRunsAndTrims) {
  EXPECT_EQ(collapse_space("  a \t\n b  "), "a b");
  EXPECT_EQ(collapse_space("a b"), "a b");
  EXPECT_EQ(collapse_space(" \t "), "");
  EXPECT_EQ(collapse_space(""), "");
}

// Unicode's own test file: what it calls equal must be equal, and NFC must be its NFC.
TEST(UnicodeTextTest, ConformsToNormalizationTest) {
  if (!has_test_data("NormalizationTest.txt.gz"))
    GTEST_SKIP() << "NormalizationTest.txt.gz is not here";
  gzFile file = gzopen(test_data("NormalizationTest.txt.gz").c_str(), "rb");
  ASSERT_NE(file, nullptr);
  size_t lines = 0;
  char line[4096];
  while (gzgets(file, line, sizeof(line)) != nullptr) {
    if (line[0] == '#' || line[0] == '@') continue;
    std::string columns[5];
    const char* at = line;
    for (std::string& column : columns) {
      for (; *at != ';' && *at != '\0'; at += *at == ' ') {
        char* end = nullptr;
        append_utf8(column, static_cast<UChar32>(std::strtol(at, &end, 16)));
        ASSERT_NE(end, at) << line;
        at = end;
      }
      at += *at == ';';
    }
    ++lines;
    for (int c = 0; c < 3; ++c) ASSERT_EQ(nfc(columns[c]), columns[1]) << line;
    for (int c = 3; c < 5; ++c) ASSERT_EQ(nfc(columns[c]), columns[3]) << line;
    const std::string folded = nfkc_casefold(columns[3]);
    for (const std::string& column : columns) ASSERT_EQ(nfkc_casefold(column), folded) << line;
    ASSERT_EQ(nfkc_casefold(folded), folded) << line;
  }
  gzclose(file);
  EXPECT_GT(lines, 18'000u);
}

}  // namespace
}  // namespace strongroom::index
