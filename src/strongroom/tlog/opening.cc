#include "strongroom/tlog/opening.h"

#include "strongroom/crypto/hash.h"
#include "strongroom/tlog/merkle.h"

namespace strongroom::tlog {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kClosed = 0;
constexpr uint8_t kShown = 1;

Error not_an_opening() {
  return make_error(ErrorCode::kDataLoss,
                    "What is said to stand in this entry is not what it commits to. Ask for the "
                    "proof again.");
}

}  // namespace

std::string open_items(const Entry& entry, size_t first) {
  std::string out;
  append_be(out, kVersion);
  append_be(out, static_cast<uint32_t>(entry.items.size()));
  for (size_t j = 0; j < entry.items.size(); ++j) {
    const Hash salt = item_salt(entry.rho, static_cast<uint32_t>(j));
    const Bytes item = as_bytes(entry.items[j]);
    if (j < first) {
      append_be(out, kClosed);
      append(out, crypto::hmac_sha256(salt, {item}));
    } else {
      append_be(out, kShown);
      append(out, salt);
      append_be(out, static_cast<uint32_t>(item.size()));
      append(out, item);
    }
  }
  return out;
}

Result<std::vector<std::pair<uint32_t, std::string>>> check_opening(Bytes opening,
                                                                    const EntryHead& head) {
  if (opening.size() > kOpeningBytesMax) return not_an_opening();
  ByteReader in(opening);
  const bool ours = in.be(1) == kVersion;
  if (in.be(4) != head.n || !in.ok() || !ours) return not_an_opening();
  std::vector<Hash> leaves;
  std::vector<std::pair<uint32_t, std::string>> shown;
  for (uint32_t j = 0; j < head.n; ++j) {
    const uint64_t kind = in.be(1);
    const Bytes hash = in.take(sizeof(Hash));
    if (!in.ok() || kind > kShown) return not_an_opening();
    if (kind == kClosed) {
      leaves.push_back(leaf_hash(hash));
      continue;
    }
    const uint64_t size = in.be(4);
    const Bytes item = in.take(size);
    if (!in.ok()) return not_an_opening();
    leaves.push_back(leaf_hash(crypto::hmac_sha256(hash, {item})));
    shown.emplace_back(j, as_text(item));
  }
  if (!in.done() || merkle_root(leaves) != head.items) return not_an_opening();
  return shown;
}

}  // namespace strongroom::tlog
