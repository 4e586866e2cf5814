#include "strongroom/tlog/disclosure.h"

#include "strongroom/crypto/hash.h"

namespace strongroom::tlog {

ByteArray<kEntrySize> public_bytes(const Entry& entry) {
  EntryHead head;
  head.type = static_cast<uint8_t>(entry.type);
  head.t_ms = entry.t_ms;
  head.n = static_cast<uint32_t>(entry.items.size());
  head.items = commit_items(entry.rho, entry.items);
  return encode_entry(head);
}

std::vector<Disclosure> disclose(const Entry& entry, std::span<const uint32_t> places) {
  const std::vector<Hash> leaves = commitments(entry.rho, entry.items);
  const SubtreeReader subtree = [&](int level, uint64_t n) -> Result<Hash> {
    const uint64_t width = uint64_t{1} << level;
    return merkle_root(std::span(leaves).subspan(n * width, width));
  };
  std::vector<Disclosure> out;
  out.reserve(places.size());
  for (const uint32_t place : places) {
    SR_CHECK(place < leaves.size(), "a disclosed item is one of the entry's");
    auto path = inclusion_proof(place, leaves.size(), subtree);
    SR_CHECK(path.has_value(), "complete subtrees lie within the items");
    out.push_back({place, entry.items[place], item_salt(entry.rho, place), std::move(*path)});
  }
  return out;
}

bool verify_disclosure(const EntryHead& head, const Disclosure& disclosure) {
  const crypto::Digest c = crypto::hmac_sha256(disclosure.salt, {as_bytes(disclosure.item)});
  return verify_inclusion(leaf_hash(c), disclosure.place, head.n, disclosure.path, head.items);
}

}  // namespace strongroom::tlog
