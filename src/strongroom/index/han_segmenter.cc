#include "strongroom/index/han_segmenter.h"

#include <unicode/appendable.h>
#include <unicode/ucharstrie.h>

#include <algorithm>

namespace strongroom::index {
namespace {

// Of ICU's source/common/dictionarydata.h and dictbe.cpp, which have been so since ICU 50.
constexpr size_t kIndexes = 8;
constexpr size_t kTrieOffset = 0, kTrieType = 4;
constexpr int32_t kTypeMask = 7, kUCharsTrie = 1, kHasValues = 8;
constexpr uint32_t kUnknownCost = 255;  // Of a character that is no word.
constexpr size_t kWordMax = 20;         // Characters.

constexpr size_t kPairsMin = size_t{1} << 12;

size_t home(uint32_t key, size_t slots) {
  return (key * 0x9e3779b1u) >> 8 & (slots - 1);
}

class Followers : public icu::Appendable {
 public:
  UBool appendCodeUnit(char16_t c) override {
    units.push_back(c);
    return 1;
  }
  std::vector<char16_t> units;
};

}  // namespace

const HanSegmenter* HanSegmenter::instance() {
  static const std::unique_ptr<const HanSegmenter> kSegmenter = [] {
    auto made = std::unique_ptr<HanSegmenter>(new HanSegmenter());
    if (!made->load()) made.reset();
    return made;
  }();
  return kSegmenter.get();
}

void HanSegmenter::insert(const Node& node) {
  if ((used_ + 1) * 2 > pairs_.size()) {
    std::vector<Node> old(std::max(kPairsMin, pairs_.size() * 2));
    old.swap(pairs_);
    used_ = 0;
    for (const Node& one : old) {
      if (one.key != 0) insert(one);
    }
  }
  size_t at = home(node.key, pairs_.size());
  while (pairs_[at].key != 0) at = (at + 1) & (pairs_.size() - 1);
  pairs_[at] = node;
  ++used_;
}

const HanSegmenter::Node* HanSegmenter::pair(char16_t first, char16_t second) const {
  const uint32_t key = uint32_t{first} << 16 | second;
  for (size_t at = home(key, pairs_.size()); pairs_[at].key != 0;
       at = (at + 1) & (pairs_.size() - 1)) {
    if (pairs_[at].key == key) return &pairs_[at];
  }
  return nullptr;
}

bool HanSegmenter::load() {
  UErrorCode status = U_ZERO_ERROR;
  data_.reset(udata_open(U_ICUDATA_NAME "-brkitr", "dict", "cjdict", &status));
  if (U_FAILURE(status) != 0 || data_ == nullptr) return false;
  const auto* indexes = static_cast<const int32_t*>(udata_getMemory(data_.get()));
  if (indexes == nullptr || indexes[kTrieOffset] < static_cast<int32_t>(kIndexes * 4) ||
      (indexes[kTrieType] & kTypeMask) != kUCharsTrie || (indexes[kTrieType] & kHasValues) == 0) {
    return false;
  }
  trie_ = reinterpret_cast<const char16_t*>(reinterpret_cast<const char*>(indexes) +
                                            indexes[kTrieOffset]);
  icu::UCharsTrie trie(trie_);
  bool fits = true;
  const auto node_of = [&](uint32_t key, UStringTrieResult result) {
    Node node;
    node.key = key;
    if (USTRINGTRIE_HAS_VALUE(result)) {
      const int32_t cost = trie.getValue();
      fits &= cost >= 0 && cost <= INT16_MAX;
      node.cost = static_cast<int16_t>(cost);
    }
    node.longer = USTRINGTRIE_HAS_NEXT(result);
    if (node.longer) node.state = trie.getState64();
    return node;
  };
  single_.resize(kLast - kFirst + 1);
  pairs_.resize(kPairsMin);
  Followers followers;
  for (char32_t c = kFirst; c <= kLast; ++c) {
    const UStringTrieResult result = trie.first(static_cast<int32_t>(c));
    if (!USTRINGTRIE_MATCHES(result)) continue;
    Node& node = single_[c - kFirst] = node_of(static_cast<uint32_t>(c), result);
    if (!node.longer) continue;
    followers.units.clear();
    trie.getNextUChars(followers);
    for (const char16_t next : followers.units) {
      if (!covers(next)) continue;
      trie.resetToState64(node.state);
      insert(node_of(static_cast<uint32_t>(c << 16 | next), trie.next(next)));
    }
  }
  return fits;
}

std::span<const uint32_t> HanSegmenter::ends(std::u16string_view run, Scratch& scratch) const {
  const size_t size = run.size();
  auto& cost = scratch.cost;
  auto& from = scratch.from;
  cost.assign(size + 1, UINT32_MAX);
  from.resize(size + 1);
  cost[0] = 0;
  icu::UCharsTrie trie(trie_);
  for (size_t i = 0; i < size; ++i) {
    const auto reach = [&](size_t end, uint32_t more) {
      if (cost[i] + more >= cost[end]) return;
      cost[end] = cost[i] + more;
      from[end] = static_cast<uint32_t>(i);
    };
    const Node& one = single_[run[i] - kFirst];
    reach(i + 1, one.cost >= 0 ? static_cast<uint32_t>(one.cost) : kUnknownCost);
    if (!one.longer || i + 1 == size) continue;
    const Node* two = pair(run[i], run[i + 1]);
    if (two == nullptr) continue;
    if (two->cost >= 0) reach(i + 2, static_cast<uint32_t>(two->cost));
    if (!two->longer) continue;
    trie.resetToState64(two->state);
    for (size_t end = i + 2; end < size && end < i + kWordMax; ++end) {
      const UStringTrieResult result = trie.next(run[end]);
      if (USTRINGTRIE_HAS_VALUE(result)) reach(end + 1, static_cast<uint32_t>(trie.getValue()));
      if (!USTRINGTRIE_HAS_NEXT(result)) break;
    }
  }
  scratch.ends.clear();
  for (size_t end = size; end > 0; end = from[end]) {
    scratch.ends.push_back(static_cast<uint32_t>(end));
  }
  std::reverse(scratch.ends.begin(), scratch.ends.end());
  return scratch.ends;
}

}  // namespace strongroom::index
