// What is in a packed block, in clear: many postings in few bytes, in groups of 64 that a reader
// may pass over.  Spec: docs/spec/index.md, "Packed blocks"
#pragma once

#include <span>
#include <vector>

#include "strongroom/base/bytes.h"
#include "strongroom/index/idx_filter.h"
#include "strongroom/index/postings.h"

namespace strongroom::index {

// Readers of bits load eight bytes at once: so many must follow a content, whatever they are.
inline constexpr size_t kContentSlack = 8;

struct BlockContent {
  size_t count = 0;  // Postings in it, from the front.
  size_t size = 0;   // Bytes.
};

// As many of the postings, from the front, as fit into `capacity` bytes; but only until one has
// the record number of the one before it. They ascend, each once. `out` has kContentSlack bytes
// more than `capacity`. Of at least kPackedMin postings, 240 bytes hold as many, all differing.
BlockContent code_block(std::span<const Posting> postings, size_t capacity, MutableBytes out);

// Appends all postings of a content, or those that `only` has; `plain` has kContentSlack bytes
// behind it. Sets what there is in all, and how long the content was, which is padded with zeros.
// False, and nothing appended: not what code_block() writes. Of a group that `only` has nothing of
// no more than its ends are looked at.
bool decode_block(Bytes plain, const IdxFilter* only, std::vector<Posting>& out,
                  BlockExtent& extent, size_t& size);

}  // namespace strongroom::index
