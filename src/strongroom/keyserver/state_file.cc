#include "strongroom/keyserver/state_file.h"

#include <algorithm>
#include <optional>

#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/hash.h"

namespace strongroom::keyserver {
namespace {

constexpr std::string_view kStateMagic = "SR1STATE";
constexpr std::string_view kFrameLabel = "SR1F";
constexpr std::string_view kNamePrefix = "state-";
constexpr uint8_t kStateVersion = 2;
constexpr size_t kWrapsMax = 2;
constexpr size_t kSealOverhead = crypto::kXChaChaNonceSize + 16;
constexpr size_t kOldHeadSize = 8 + 1 + 8;  // Of version 1.
constexpr size_t kHeadSize = kOldHeadSize + 2;
constexpr size_t kBoundAt = kOldHeadSize, kWrapsAt = kOldHeadSize + 1;
constexpr size_t kWrappedSize = 32 + kSealOverhead;
constexpr size_t kFrameHeadSize = 5;

std::string frame_ad(uint64_t epoch, FrameKind kind, uint64_t number) {
  std::string ad(kFrameLabel);
  append_be(ad, static_cast<uint8_t>(kind));
  append_be(ad, epoch);
  append_be(ad, number);
  return ad;
}

// What stands before the frames.
struct Header {
  size_t head = 0;   // Additional data of each seal.
  size_t wraps = 0;  // Seals of the epoch key.
  size_t size() const { return head + wraps * kWrappedSize; }
};

std::optional<Header> parse_header(Bytes bytes) {
  if (bytes.size() < kOldHeadSize || as_text(bytes.first(8)) != kStateMagic) return std::nullopt;
  Header header{kOldHeadSize, 1};
  if (bytes[8] == kStateVersion) {
    if (bytes.size() < kHeadSize || bytes[kBoundAt] > 1) return std::nullopt;
    header = {kHeadSize, bytes[kWrapsAt]};
  }
  const bool sound =
      header.wraps >= 1 && header.wraps <= kWrapsMax && bytes.size() >= header.size();
  return sound ? std::optional(header) : std::nullopt;
}

bool is_kind(uint64_t kind) {
  return kind >= 1 && kind <= 3;
}

}  // namespace

std::string state_file_name(uint64_t epoch) {
  uint8_t bytes[8];
  store_be<uint64_t>(bytes, epoch);
  return std::string(kNamePrefix) + to_hex(bytes);
}

bool parse_state_file_name(std::string_view name, uint64_t* epoch) {
  uint8_t bytes[8];
  if (!name.starts_with(kNamePrefix) || !from_hex(name.substr(kNamePrefix.size()), bytes)) {
    return false;
  }
  *epoch = load_be<uint64_t>(bytes);
  return name == state_file_name(*epoch);
}

SealingKey bind_wrap(const SealingKey& wrap, const EpochSecret& secret) {
  constexpr std::string_view kLabel{"sr1.state-nv\0", 13};
  auto bytes = crypto::hmac_sha256(wrap.read(SecretAccess{}),
                                   {as_bytes(kLabel), secret.read(SecretAccess{})});
  SealingKey out(bytes);
  explicit_bzero(bytes.data(), bytes.size());
  return out;
}

std::string state_header(uint64_t epoch, std::span<const SealingKey> wraps, bool bound,
                         const SealingKey& epoch_key) {
  SR_CHECK(!wraps.empty() && wraps.size() <= kWrapsMax, "one root key, or two while it changes");
  std::string out(kStateMagic);
  append_be(out, kStateVersion);
  append_be(out, epoch);
  append_be(out, static_cast<uint8_t>(bound));
  append_be(out, static_cast<uint8_t>(wraps.size()));
  const std::string head = out;
  for (const SealingKey& wrap : wraps) {
    out += crypto::xchacha_seal(wrap, as_bytes(head), epoch_key.read(SecretAccess{}));
  }
  return out;
}

bool state_is_bound(Bytes bytes) {
  return parse_header(bytes) && bytes[8] == kStateVersion && bytes[kBoundAt] == 1;
}

std::string state_frame(uint64_t epoch, const SealingKey& epoch_key, FrameKind kind,
                        uint64_t number, Bytes plaintext) {
  SR_CHECK(plaintext.size() <= kStateFrameMax, "a state frame is too large");
  const std::string ad = frame_ad(epoch, kind, number);
  std::string out;
  append_be(out, static_cast<uint8_t>(kind));
  append_be(out, static_cast<uint32_t>(plaintext.size() + kSealOverhead));
  out += crypto::xchacha_seal(epoch_key, as_bytes(ad), plaintext);
  return out;
}

Result<StateFile> read_state_file(Bytes bytes, uint64_t epoch, const SealingKey& wrap) {
  const Error damaged = make_error(ErrorCode::kDataLoss, "A key state file is damaged.");
  if (bytes.size() < kOldHeadSize || as_text(bytes.first(8)) != kStateMagic) return damaged;
  if (bytes[8] > kStateVersion) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "The key state was written by a newer strongroom. Run that version.");
  }
  const auto header = parse_header(bytes);
  if (!header || bytes[8] == 0 || load_be<uint64_t>(bytes.data() + 9) != epoch) return damaged;
  std::optional<SealingKey> epoch_key;
  for (size_t i = 0; i < header->wraps && !epoch_key; ++i) {
    const auto opened =
        crypto::xchacha_open(wrap, bytes.first(header->head),
                             bytes.subspan(header->head + i * kWrappedSize, kWrappedSize));
    if (opened && opened->size() == SealingKey::kSize) {
      epoch_key.emplace(opened->read(SecretAccess{}).first<32>());
    }
  }
  if (!epoch_key) return damaged;

  StateFile file;
  Bytes rest = bytes.subspan(header->size());
  while (!rest.empty()) {
    if (rest.size() < kFrameHeadSize) {
      file.end = StateFile::End::kTorn;
      break;
    }
    const uint8_t kind = rest[0];
    const uint64_t length = load_be<uint32_t>(rest.data() + 1);
    if (!is_kind(kind) || length < kSealOverhead || length > kStateFrameMax + kSealOverhead ||
        file.has_base != (kind == static_cast<uint8_t>(FrameKind::kJournal))) {
      file.end = StateFile::End::kDamaged;
      break;
    }
    if (rest.size() - kFrameHeadSize < length) {
      file.end = StateFile::End::kTorn;
      break;
    }
    const std::string ad = frame_ad(epoch, static_cast<FrameKind>(kind), file.frames.size());
    auto frame =
        crypto::xchacha_open(*epoch_key, as_bytes(ad), rest.subspan(kFrameHeadSize, length));
    if (!frame) {
      file.end = StateFile::End::kDamaged;
      break;
    }
    file.frames.push_back(*std::move(frame));
    if (kind == static_cast<uint8_t>(FrameKind::kBaseEnd)) file.has_base = true;
    rest = rest.subspan(kFrameHeadSize + length);
  }
  return file;
}

bool has_state_form(Bytes bytes, uint64_t epoch) {
  const auto header = parse_header(bytes);
  if (!header || bytes[8] == 0 || bytes[8] > kStateVersion ||
      load_be<uint64_t>(bytes.data() + 9) != epoch) {
    return false;
  }
  Bytes rest = bytes.subspan(header->size());
  while (rest.size() >= kFrameHeadSize) {
    const uint64_t length = load_be<uint32_t>(rest.data() + 1);
    if (!is_kind(rest[0]) || length < kSealOverhead || length > kStateFrameMax + kSealOverhead) {
      return false;
    }
    rest = rest.subspan(std::min<size_t>(rest.size(), kFrameHeadSize + length));
  }
  return true;
}

}  // namespace strongroom::keyserver
