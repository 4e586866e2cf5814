#include "strongroom/index/words.h"

#include <unicode/brkiter.h>

#include <algorithm>
#include <memory>
#include <unordered_set>

#include "strongroom/base/check.h"
#include "strongroom/index/han.h"

namespace strongroom::index {
namespace {

constexpr size_t kWordBytesMax = 64;

// What is in most texts and tells them apart in none.
const std::unordered_set<std::string_view>& stop_words() {
  static const std::unordered_set<std::string_view> kStopWords = {
      "a",    "an",   "and",  "are", "as", "at", "be", "by",  "for",  "from", "has", "he",
      "in",   "is",   "it",   "its", "of", "on", "or", "she", "that", "the",  "to",  "was",
      "were", "will", "with", "一",  "上", "不", "个", "中",  "为",   "也",   "于",  "人",
      "他",   "了",   "和",   "在",  "对", "有", "的", "该",  "被",   "这"};
  return kStopWords;
}

bool is_stop_word(std::string_view word) {
  return stop_words().contains(word);
}

std::string_view cut(std::string_view word) {
  if (word.size() <= kWordBytesMax) return word;
  size_t size = kWordBytesMax;
  while ((static_cast<uint8_t>(word[size]) & 0xc0) == 0x80) --size;
  return word.substr(0, size);
}

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
  // In UTF-16: over UTF-8 ICU takes twice the time.
  const std::string text = simplified(value);
  const icu::UnicodeString view = icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
  breaks->setText(view);
  std::vector<std::string> out, stops;
  std::string word;
  int32_t begin = breaks->first();
  for (int32_t end; (end = breaks->next()) != icu::BreakIterator::DONE; begin = end) {
    if (breaks->getRuleStatus() < UBRK_WORD_NONE_LIMIT) continue;
    word.clear();
    view.tempSubStringBetween(begin, end).toUTF8String(word);
    (is_stop_word(word) ? stops : out).emplace_back(cut(word));
  }
  if (out.empty()) out = std::move(stops);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace strongroom::index
