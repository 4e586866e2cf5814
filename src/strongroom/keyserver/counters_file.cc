#include "strongroom/keyserver/counters_file.h"

#include <algorithm>
#include <cstdio>

#include "strongroom/base/archive.h"
#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/random.h"
#include "strongroom/tlog/entry.h"

namespace strongroom::keyserver {
namespace {

constexpr std::string_view kCountersMagic = "SRCOUNTS";
constexpr uint8_t kCountersVersion = 1;
constexpr size_t kChunkOverhead = crypto::kGcmNonceSize + crypto::kGcmTagSize;

Error damaged_counters() {
  return make_error(ErrorCode::kDataLoss,
                    "What was written down of the release log is damaged or forged; the log itself "
                    "is read instead.");
}

std::string header_of(uint32_t month, uint64_t leaf) {
  std::string header(kCountersMagic);
  header.push_back(static_cast<char>(kCountersVersion));
  header.append(3, '\0');
  append_be(header, kLedgerForm);
  append_be(header, month);
  append_be(header, leaf);
  header.append(4, '\0');
  return header;
}

std::string chunk_ad(std::string_view header, uint32_t number, bool last) {
  std::string ad(header);
  append_be(ad, number);
  ad.push_back(last ? '\1' : '\0');
  return ad;
}

template <class A>
void archive(A& a, tlog::LogPoint& point, Ledger& ledger) {
  a(point, ledger);
}

// Seals contents chunk by chunk. One is held back, since only the end tells which is the last.
class Sealer {
 public:
  Sealer(env::AppendFile& file, const SealingKey& key, std::string header)
      : file_(file), key_(key), header_(std::move(header)) {}

  Result<void> begin() { return write(header_); }
  Result<void> take(Bytes part) {
    contents_.update(part);
    while (!part.empty()) {
      if (held_.size() == kCountersChunkMax) SR_TRY(seal(false));
      const size_t size = std::min(part.size(), kCountersChunkMax - held_.size());
      append(held_, part.first(size));
      part = part.subspan(size);
    }
    return {};
  }
  Result<CountersFile> end() {
    SR_TRY(seal(true));
    SR_TRY(file_.sync());
    return CountersFile{file_.size(), sha256_.finish(), contents_.finish()};
  }

 private:
  Result<void> write(const std::string& bytes) {
    sha256_.update(as_bytes(bytes));
    return file_.append(as_bytes(bytes));
  }
  Result<void> seal(bool last) {
    ByteArray<crypto::kGcmNonceSize> nonce{};
    crypto::random_nonce(nonce);
    std::string chunk;
    append_be(chunk, static_cast<uint32_t>(held_.size() + kChunkOverhead));
    append(chunk, nonce);
    crypto::gcm_seal(key_.read(SecretAccess{}), nonce, as_bytes(chunk_ad(header_, number_++, last)),
                     as_bytes(held_), chunk);
    held_.clear();
    return write(chunk);
  }

  env::AppendFile& file_;
  const SealingKey& key_;
  const std::string header_;
  std::string held_;
  uint32_t number_ = 0;
  crypto::Sha256 sha256_, contents_;
};

// Hands out the contents of what it reads, chunk by chunk.
class Opener {
 public:
  Opener(env::Files& files, const std::string& path, uint64_t size)
      : files_(files), path_(path), size_(size) {}

  Result<std::string> take(uint64_t count) {
    SR_ASSIGN(std::string bytes, files_.read_range(path_, at_, std::min(count, size_ - at_)));
    if (bytes.size() != count) return damaged_counters();
    at_ += count;
    sha256_.update(as_bytes(bytes));
    return bytes;
  }
  Result<void> begin(tlog::BodyKeys& keys, uint64_t leaf) {
    SR_ASSIGN(header_, take(kCountersHeaderSize));
    if (!header_.starts_with(kCountersMagic)) return damaged_counters();
    ByteReader reader(as_bytes(header_).subspan(kCountersMagic.size()));
    const uint64_t version = reader.be(1);
    reader.take(3);
    const uint64_t form = reader.be(4);
    const auto month = static_cast<uint32_t>(reader.be(4));
    if (version != kCountersVersion || form != kLedgerForm) {
      return make_error(ErrorCode::kFailedPrecondition,
                        "What was written down of the release log is of another version; the log "
                        "itself is read instead.");
    }
    if (header_ != header_of(month, leaf)) return damaged_counters();
    SR_ASSIGN(key_, keys.key(month));
    return {};
  }
  // Empty behind the last.
  Result<std::string> next() {
    if (at_ == size_) return std::string();
    SR_ASSIGN(const std::string length, take(4));
    const uint32_t size = load_be<uint32_t>(as_bytes(length).data());
    if (size <= kChunkOverhead || size > kCountersChunkMax + kChunkOverhead)
      return damaged_counters();
    SR_ASSIGN(const std::string sealed, take(size));
    const Bytes bytes = as_bytes(sealed);
    std::string part(size - kChunkOverhead, '\0');
    const bool opened =
        crypto::gcm_open(key_->read(SecretAccess{}), bytes.first<crypto::kGcmNonceSize>(),
                         as_bytes(chunk_ad(header_, number_++, at_ == size_)),
                         bytes.subspan(crypto::kGcmNonceSize),
                         {reinterpret_cast<uint8_t*>(part.data()), part.size()})
            .has_value();
    if (!opened) return damaged_counters();
    contents_.update(as_bytes(part));
    return part;
  }
  CountersFile end() { return {size_, sha256_.finish(), contents_.finish()}; }

 private:
  env::Files& files_;
  const std::string path_;
  const uint64_t size_;
  uint64_t at_ = 0;
  std::string header_;
  const SealingKey* key_ = nullptr;
  uint32_t number_ = 0;
  crypto::Sha256 sha256_, contents_;
};

}  // namespace

std::string counters_name(uint64_t leaf) {
  char name[32];
  std::snprintf(name, sizeof(name), "counters-%016llx", static_cast<unsigned long long>(leaf));
  return name;
}

std::optional<uint64_t> parse_counters_name(std::string_view name) {
  constexpr std::string_view kPrefix = "counters-";
  ByteArray<8> leaf{};
  if (!name.starts_with(kPrefix) || !from_hex(name.substr(kPrefix.size()), leaf)) {
    return std::nullopt;
  }
  const auto value = load_be<uint64_t>(leaf.data());
  return counters_name(value) == name ? std::optional(value) : std::nullopt;
}

Result<CountersFile> write_counters(env::Files& files, const std::string& path,
                                    tlog::BodyKeys& keys, tlog::LogPoint& point, Ledger& ledger) {
  const uint32_t month = tlog::month_of(point.state.last_t_ms);
  SR_ASSIGN(const SealingKey* const key, keys.key(month));
  SR_ASSIGN(const auto file, files.open_append(path, 0, 0));
  Sealer sealer(*file, *key, header_of(month, point.leaf()));
  SR_TRY(sealer.begin());
  ArchiveWriter writer([&](Bytes part) { return sealer.take(part); });
  archive(writer, point, ledger);
  SR_TRY(writer.finish());
  return sealer.end();
}

Result<CountersFile> read_counters(env::Files& files, const std::string& path, tlog::BodyKeys& keys,
                                   uint64_t leaf, tlog::LogPoint& point, Ledger& ledger) {
  SR_ASSIGN(const uint64_t size, files.file_size(path));
  if (size > kCountersBytesMax) return damaged_counters();
  Opener opener(files, path, size);
  SR_TRY(opener.begin(keys, leaf));
  ArchiveReader reader([&] { return opener.next(); });
  archive(reader, point, ledger);
  SR_TRY(reader.finish());
  if (point.leaf() != leaf) return damaged_counters();
  return opener.end();
}

crypto::Digest contents_of(tlog::LogPoint& point, Ledger& ledger) {
  crypto::Sha256 digest;
  ArchiveWriter writer([&](Bytes part) {
    digest.update(part);
    return Result<void>();
  });
  archive(writer, point, ledger);
  SR_CHECK(writer.finish().has_value(), "a digest takes everything");
  return digest.finish();
}

}  // namespace strongroom::keyserver
