#include "strongroom/tlog/entry.h"

#include <string.h>

#include <chrono>

#include "strongroom/crypto/hash.h"

namespace strongroom::tlog {
namespace {

constexpr std::string_view kMagic = "SR1R";
constexpr std::string_view kSaltLabel = "sr1.salt";
// From here on the key's cached states pay for setting up the object that holds them.
constexpr size_t kSaltsCachedFrom = 2;

ByteArray<8 + kEntrySize> body_ad(uint64_t leaf, Bytes entry) {
  ByteArray<8 + kEntrySize> ad;
  store_be<uint64_t>(ad.data(), leaf);
  memcpy(ad.data() + 8, entry.data(), kEntrySize);
  return ad;
}

// Item bodies name people's records: buffers that held one are wiped, and keep their capacity.
class Scratch {
 public:
  explicit Scratch(std::string& buffer) : buffer_(buffer) { buffer_.clear(); }
  ~Scratch() { explicit_bzero(buffer_.data(), buffer_.size()); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

 private:
  std::string& buffer_;
};

void commit_into(const Rho& rho, std::span<const std::string> items, std::span<Hash> leaves) {
  std::optional<crypto::Hmac> salts;
  if (items.size() >= kSaltsCachedFrom) salts.emplace(rho);
  for (size_t j = 0; j < items.size(); ++j) {
    uint8_t number[4];
    store_be<uint32_t>(number, static_cast<uint32_t>(j));
    const std::initializer_list<Bytes> parts = {as_bytes(kSaltLabel), number};
    const crypto::Digest salt = salts ? (*salts)(parts) : crypto::hmac_sha256(rho, parts);
    leaves[j] = leaf_hash(crypto::hmac_sha256(salt, {as_bytes(items[j])}));
  }
}

Error not_the_body() {
  return make_error(ErrorCode::kDataLoss,
                    "An entry's body is not the one that was logged, or the log's body keys are of "
                    "another vault.");
}

}  // namespace

const char* entry_type_name(EntryType type) {
  switch (type) {
    case EntryType::kStart:
      return "start";
    case EntryType::kRelease:
      return "release";
    case EntryType::kToken:
      return "token";
    case EntryType::kGrant:
      return "grant";
    case EntryType::kPolicy:
      return "policy";
    case EntryType::kApproval:
      return "approval";
    case EntryType::kFreeze:
      return "freeze";
    case EntryType::kErasure:
      return "erasure";
    case EntryType::kCounters:
      return "counters";
    case EntryType::kWatch:
      return "watch";
    case EntryType::kReport:
      return "report";
    case EntryType::kKeys:
      return "keys";
    case EntryType::kBackup:
      return "backup";
  }
  return "unknown";
}

bool is_known_type(uint8_t type) {
  return std::string_view(entry_type_name(static_cast<EntryType>(type))) != "unknown";
}

uint32_t month_of(uint64_t t_ms) {
  const std::chrono::sys_days day{
      std::chrono::floor<std::chrono::days>(std::chrono::milliseconds(t_ms))};
  const std::chrono::year_month_day date(day);
  return static_cast<uint32_t>(static_cast<int>(date.year())) * 12 +
         static_cast<uint32_t>(date.month()) - 1;
}

ByteArray<kEntrySize> encode_entry(const EntryHead& head) {
  ByteArray<kEntrySize> entry;
  memcpy(entry.data(), kMagic.data(), kMagic.size());
  entry[4] = head.type;
  store_be<uint64_t>(entry.data() + 5, head.t_ms);
  store_be<uint32_t>(entry.data() + 13, head.n);
  memcpy(entry.data() + 17, head.items.data(), head.items.size());
  return entry;
}

std::optional<EntryHead> parse_entry(Bytes entry) {
  ByteReader reader(entry);
  const bool ours = as_text(reader.take(kMagic.size())) == kMagic;
  EntryHead head;
  head.type = static_cast<uint8_t>(reader.be(1));
  head.t_ms = reader.be(8);
  head.n = static_cast<uint32_t>(reader.be(4));
  const Bytes items = reader.take(head.items.size());
  if (!reader.done() || !ours || head.type == 0 || head.type > EntryHead::kTypeMax ||
      head.t_ms > kTimeMax || head.n == 0 || head.n > kItemsMax) {
    return std::nullopt;
  }
  memcpy(head.items.data(), items.data(), items.size());
  return head;
}

Hash item_salt(const Rho& rho, uint32_t place) {
  uint8_t number[4];
  store_be<uint32_t>(number, place);
  return crypto::hmac_sha256(rho, {as_bytes(kSaltLabel), number});
}

std::vector<Hash> commitments(const Rho& rho, std::span<const std::string> items) {
  std::vector<Hash> leaves(items.size());
  commit_into(rho, items, leaves);
  return leaves;
}

Hash commit_items(const Rho& rho, std::span<const std::string> items) {
  thread_local std::vector<Hash> leaves;
  leaves.resize(items.size());
  commit_into(rho, items, leaves);
  return merkle_root(leaves);
}

size_t body_size(std::span<const std::string> items) {
  size_t size = sizeof(Rho);
  for (const std::string& item : items) size += 4 + item.size();
  return size;
}

void append_frame(const SealingKey& key, const FrameSeal& seal, const ByteArray<kEntrySize>& entry,
                  std::span<const std::string> items, std::string& out) {
  thread_local std::string body;
  const Scratch wipe(body);
  append(body, seal.rho);
  for (const std::string& item : items) {
    append_be(body, item.size(), 4);
    body += item;
  }
  const size_t start = out.size();
  append_be(out, uint32_t{0}, 4);
  append_be(out, seal.leaf, 8);
  append_be(out, seal.place, 4);
  append(out, entry);
  append(out, seal.nonce);
  crypto::gcm_seal(key.read(SecretAccess{}), seal.nonce, body_ad(seal.leaf, entry), as_bytes(body),
                   out);
  finish_frame(out, start);
}

bool parse_body(Bytes body, uint32_t n, Rho* rho, std::vector<std::string>* items) {
  ByteReader reader(body);
  const Bytes blinding = reader.take(rho->size());
  // Four bytes an item at least: so n cannot ask for more room than the body has.
  if (!reader.ok() || n > reader.remaining() / 4) return false;
  memcpy(rho->data(), blinding.data(), rho->size());
  items->resize(n);
  for (std::string& item : *items) item.assign(as_text(reader.take(reader.be(4))));
  return reader.done();
}

Result<void> open_frame(const SealingKey& key, const Frame& frame, const EntryHead& head,
                        Entry* out) {
  if (!is_known_type(head.type)) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "The release log holds an entry of a newer strongroom: use that version.");
  }
  thread_local std::string body;
  const Scratch wipe(body);
  body.resize(frame.sealed.size() - crypto::kGcmTagSize);
  const MutableBytes plaintext{reinterpret_cast<uint8_t*>(body.data()), body.size()};
  if (!crypto::gcm_open(key.read(SecretAccess{}), frame.nonce.first<crypto::kGcmNonceSize>(),
                        body_ad(frame.leaf, frame.entry), frame.sealed, plaintext)) {
    return not_the_body();
  }
  if (!parse_body(plaintext, head.n, &out->rho, &out->items) ||
      commit_items(out->rho, out->items) != head.items) {
    return not_the_body();
  }
  out->leaf = {frame.leaf};
  out->type = static_cast<EntryType>(head.type);
  out->t_ms = head.t_ms;
  return {};
}

}  // namespace strongroom::tlog
