#include "strongroom/index/words.h"

#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include <algorithm>
#include <array>
#include <memory>

#include "strongroom/base/check.h"
#include "strongroom/index/han.h"

namespace strongroom::index {
namespace {

constexpr size_t kWordBytesMax = 64;

// What is in most texts and tells them apart in none. Ascending by bytes.
constexpr std::array<std::string_view, 46> kStopWords = {
    "a",    "an",   "and",  "are", "as", "at", "be", "by",  "for",  "from", "has", "he",
    "in",   "is",   "it",   "its", "of", "on", "or", "she", "that", "the",  "to",  "was",
    "were", "will", "with", "一",  "上", "不", "个", "中",  "为",   "也",   "于",  "人",
    "他",   "了",   "和",   "在",  "对", "有", "的", "该",  "被",   "这"};

bool is_stop_word(std::string_view word) {
  return std::find(kStopWords.begin(), kStopWords.end(), word) != kStopWords.end();
}

std::string_view cut(std::string_view word) {
  if (word.size() <= kWordBytesMax) return word;
  size_t size = kWordBytesMax;
  while ((static_cast<uint8_t>(word[size]) & 0xc0) == 0x80) --size;
  return word.substr(0, size);
}

struct CloseText {
  void operator()(UText* text) const { utext_close(text); }
};

}  // namespace

std::vector<std::string> words_of(std::string_view value) {
  // Making one reads the dictionary: kept for the thread.
  thread_local const std::unique_ptr<icu::BreakIterator> breaks = [] {
    UErrorCode status = U_ZERO_ERROR;
    std::unique_ptr<icu::BreakIterator> made(
        icu::BreakIterator::createWordInstance(icu::Locale::getChinese(), status));
    SR_CHECK(U_SUCCESS(status) != 0 && made != nullptr, "ICU lacks its word boundaries");
    return made;
  }();
  const std::string text = simplified(value);
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UText, CloseText> view(
      utext_openUTF8(nullptr, text.data(), static_cast<int64_t>(text.size()), &status));
  breaks->setText(view.get(), status);
  SR_CHECK(U_SUCCESS(status) != 0, "ICU did not take valid text");
  std::vector<std::string> out, stops;
  int32_t begin = breaks->first();
  for (int32_t end; (end = breaks->next()) != icu::BreakIterator::DONE; begin = end) {
    if (breaks->getRuleStatus() < UBRK_WORD_NONE_LIMIT) continue;
    const auto word = cut(std::string_view(text).substr(static_cast<size_t>(begin),
                                                        static_cast<size_t>(end - begin)));
    (is_stop_word(word) ? stops : out).emplace_back(word);
  }
  if (out.empty()) out = std::move(stops);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace strongroom::index
