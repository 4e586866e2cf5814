// Words in runs of Han characters, as ICU's CjkBreakEngine finds them: the cheapest way through
// ICU's own dictionary (its costs are -log of frequencies), by dynamic programming.
//
// ICU asks its trie character by character through UText. Here the
// dictionary's first two characters are in a table that says "no word" at once, and only longer
// words go on in the trie. A test holds it against ICU; without ICU's dictionary, or with one of
// another format, there is none, and words_of() asks ICU.
#pragma once

#include <unicode/udata.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace strongroom::index {

class HanSegmenter {
 public:
  // What it is kept in while it runs: one per thread, reused. Holds positions, no text.
  struct Scratch {
    std::vector<uint32_t> cost;
    std::vector<uint32_t> from;
    std::vector<uint32_t> ends;
  };

  // Null where ICU has no dictionary that is understood. Made on first use, from some 300,000
  // words; thread-safe.
  static const HanSegmenter* instance();
  static bool covers(char32_t c) { return c >= kFirst && c <= kLast; }

  // The ends of the words of `run`, ascending, the last its size. Characters that covers() alone.
  std::span<const uint32_t> ends(std::u16string_view run, Scratch& scratch) const;

  HanSegmenter(const HanSegmenter&) = delete;
  HanSegmenter& operator=(const HanSegmenter&) = delete;

 private:
  static constexpr char32_t kFirst = 0x4e00;  // CJK Unified Ideographs.
  static constexpr char32_t kLast = 0x9fff;
  // What the dictionary has that begins with one character, or two.
  struct Node {
    uint32_t key = 0;     // Of a pair: its characters; 0: free.
    int16_t cost = -1;    // Of the word that ends here; negative: none does.
    bool longer = false;  // Words go on behind it: from `state`, in the trie.
    uint64_t state = 0;
  };

  HanSegmenter() = default;
  bool load();
  const Node* pair(char16_t first, char16_t second) const;
  void insert(const Node& node);

  struct Close {
    void operator()(UDataMemory* data) const { udata_close(data); }
  };
  std::unique_ptr<UDataMemory, Close> data_;
  const char16_t* trie_ = nullptr;
  std::vector<Node> single_;  // By character.
  std::vector<Node> pairs_;   // Open addressing, linear probing.
  size_t used_ = 0;
};

}  // namespace strongroom::index
