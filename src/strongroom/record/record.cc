#include "strongroom/record/record.h"

#include <algorithm>
#include <bit>

#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/derive.h"
#include "strongroom/crypto/random.h"

namespace strongroom::record {
namespace {

using crypto::kGcmNonceSize;
using crypto::kGcmTagSize;

constexpr size_t kHeaderFixedSize = 1 + 1 + 6;
constexpr size_t kHeaderGroupSize = 1 + 3;
constexpr size_t kFieldHeaderSize = 2 + 3;
constexpr size_t kSealOverhead = kGcmNonceSize + kGcmTagSize;
constexpr size_t kPaddingStep = 16;
constexpr uint8_t kTerminator = 0x80;
constexpr FieldId kFiller{0};  // No field has this id.

// AD_g is the same for all groups of a row but for its last byte.
std::string row_ad(CollectionId collection, RecordIndex idx, Bytes header) {
  std::string ad = "SR1";
  ad += row_key(collection, idx);
  append(ad, header);
  ad.push_back('\0');
  return ad;
}

void set_group(std::string& ad, GroupId group) {
  ad.back() = static_cast<char>(group.value);
}

bool in_order(std::span<const GroupValues> groups) {
  if (groups.empty() || groups.size() > kGroupsMax) return false;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (i > 0 && groups[i - 1].group >= groups[i].group) return false;
    const auto& values = groups[i].values;
    if (!values.empty() && values.front().field == kFiller) return false;
    for (size_t k = 1; k < values.size(); ++k) {
      if (values[k - 1].field >= values[k].field) return false;
    }
  }
  return true;
}

size_t padded_plaintext_size(const GroupValues& group) {
  size_t size = 1;  // The terminator.
  for (const FieldValue& value : group.values) size += kFieldHeaderSize + value.value.size();
  return padded_size(std::max(size, group.bytes_min));
}

SecretBuffer plaintext_of(const GroupValues& group, size_t padded) {
  SecretBuffer plaintext(padded);
  uint8_t* to = plaintext.write(SecretAccess{}).data();
  size_t size = 1;
  for (const FieldValue& value : group.values) size += kFieldHeaderSize + value.value.size();
  if (padded_size(size) != padded) {
    // Filler takes up all that is left, so that the padding behind it is what its size asks for.
    // Size classes are 16 bytes apart at the least: there is room for its header.
    const size_t filler = padded - size - kFieldHeaderSize;
    store_be<uint16_t>(to, kFiller.value);
    store_be<uint32_t>(to + 2, static_cast<uint32_t>(filler), 3);
    to += kFieldHeaderSize + filler;
  }
  for (const FieldValue& value : group.values) {
    store_be<uint16_t>(to, value.field.value);
    store_be<uint32_t>(to + 2, static_cast<uint32_t>(value.value.size()), 3);
    if (!value.value.empty()) {
      memcpy(to + kFieldHeaderSize, value.value.data(), value.value.size());
    }
    to += kFieldHeaderSize + value.value.size();
  }
  *to = kTerminator;
  return plaintext;
}

Error bad_row() {
  return make_error(ErrorCode::kDataLoss,
                    "a stored row is damaged or of a newer version; restore it from a backup");
}

Error bad_group() {
  return make_error(ErrorCode::kDataLoss,
                    "a sealed group holds no fields in a form this version knows");
}

}  // namespace

std::string row_key(CollectionId collection, RecordIndex idx) {
  std::string key;
  append_be(key, collection.value, 4);
  append_be(key, idx.value, 5);
  return key;
}

bool parse_row_key(Bytes key, CollectionId* collection, RecordIndex* idx) {
  if (key.size() != kRowKeySize) return false;
  collection->value = load_be<uint32_t>(key.data());
  idx->value = load_be<uint64_t>(key.data() + 4, 5);
  return true;
}

size_t padded_size(size_t size) {
  if (size < 128) return std::max(kPaddingStep, (size + 15) & ~size_t{15});
  // Padme: of a size of E+1 bits, as many leading bits stay as E and the length of E say; the rest
  // is rounded up.
  const size_t exponent = std::bit_width(size) - 1;
  const size_t low_bits = exponent - std::bit_width(exponent);
  const size_t mask = (size_t{1} << low_bits) - 1;
  return (size + mask) & ~mask;
}

Result<void> seal(CollectionId collection, RecordVersion version, const WriteSecret& s,
                  std::span<const GroupValues> groups, std::string& out) {
  if (version.idx.value > RecordIndex::kMax || version.u.value > kVersionMax) {
    return make_error(ErrorCode::kInvalidArgument, "a record index or version is out of range");
  }
  if (!in_order(groups)) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a row needs 1 to 32 groups, groups and fields ascending, none twice");
  }
  size_t padded[kGroupsMax];
  size_t row_size = kHeaderFixedSize + groups.size() * kHeaderGroupSize;
  for (size_t i = 0; i < groups.size(); ++i) {
    padded[i] = padded_plaintext_size(groups[i]);
    if (padded[i] + kSealOverhead > kGroupBytesMax) {
      return make_error(ErrorCode::kInvalidArgument,
                        "a group of fields is larger than 16 MB; store large values apart",
                        groups[i].group.value);
    }
    row_size += padded[i] + kSealOverhead;
  }

  const size_t start = out.size();
  out.reserve(start + row_size);
  out.push_back(static_cast<char>(kRowVersion));
  out.push_back(static_cast<char>(groups.size()));
  append_be(out, version.u.value, 6);
  for (size_t i = 0; i < groups.size(); ++i) {
    out.push_back(static_cast<char>(groups[i].group.value));
    append_be(out, padded[i] + kSealOverhead, 3);
  }
  std::string ad = row_ad(collection, version.idx, as_bytes(out).subspan(start));
  for (size_t i = 0; i < groups.size(); ++i) {
    const SecretBuffer plaintext = plaintext_of(groups[i], padded[i]);
    const RecordKey key = crypto::derive_group_key(s, groups[i].group);
    ByteArray<kGcmNonceSize> nonce;
    crypto::random_nonce(nonce);
    append(out, nonce);
    set_group(ad, groups[i].group);
    crypto::gcm_seal(key.read(SecretAccess{}), nonce, as_bytes(ad), plaintext.read(SecretAccess{}),
                     out);
  }
  return {};
}

Result<RowHeader> parse_row(Bytes row) {
  ByteReader reader(row);
  const uint64_t version = reader.be(1);
  const size_t count = reader.be(1);
  RowHeader header;
  header.u.value = reader.be(6);
  if (!reader.ok() || version != kRowVersion || count == 0 || count > kGroupsMax) return bad_row();

  const size_t header_size = kHeaderFixedSize + count * kHeaderGroupSize;
  if (row.size() < header_size) return bad_row();
  header.bytes = row.first(header_size);
  ByteReader sealed(row.subspan(header_size));
  header.groups.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const GroupId group{static_cast<uint8_t>(reader.be(1))};
    const size_t size = reader.be(3);
    const bool ascending = i == 0 || header.groups.back().group < group;
    if (!ascending || size < kSealOverhead ||
        padded_size(size - kSealOverhead) != size - kSealOverhead) {
      return bad_row();
    }
    header.groups.push_back({group, sealed.take(size)});
  }
  if (!sealed.done()) return bad_row();
  return header;
}

Result<std::vector<OpenedField>> open_group(CollectionId collection, RecordIndex idx,
                                            const RowHeader& row, GroupId group,
                                            const RecordKey& key) {
  const auto found = std::find_if(row.groups.begin(), row.groups.end(),
                                  [&](const RowHeader::Group& g) { return g.group == group; });
  if (found == row.groups.end()) {
    return make_error(ErrorCode::kNotFound, "the record has no such group of fields", group.value);
  }
  if (found->sealed.size() < kSealOverhead) return bad_row();
  std::string ad = row_ad(collection, idx, row.bytes);
  set_group(ad, group);
  SecretBuffer buffer(found->sealed.size() - kSealOverhead);
  SR_TRY(crypto::gcm_open(key.read(SecretAccess{}), found->sealed.first<kGcmNonceSize>(),
                          as_bytes(ad), found->sealed.subspan(kGcmNonceSize),
                          buffer.write(SecretAccess{})));

  // From the end: a field number may begin with the terminator's byte, padding may not.
  const Bytes plaintext = buffer.read(SecretAccess{});
  size_t size = plaintext.size();
  while (size > 0 && plaintext[size - 1] == 0) --size;
  if (size == 0 || plaintext[size - 1] != kTerminator || padded_size(size) != plaintext.size()) {
    return bad_group();
  }
  ByteReader reader(plaintext.first(size - 1));
  std::vector<OpenedField> fields;
  bool filled = false;
  while (reader.ok() && reader.remaining() > 0) {
    const FieldId field{static_cast<uint16_t>(reader.be(2))};
    const Bytes value = reader.take(reader.be(3));
    if (field == kFiller) {
      const bool zeros = std::all_of(value.begin(), value.end(), [](uint8_t b) { return b == 0; });
      if (!zeros || filled || !fields.empty()) return bad_group();
      filled = true;
      continue;
    }
    if (!fields.empty() && fields.back().field >= field) return bad_group();
    fields.push_back({field, Redacted<std::string>(std::string(as_text(value)))});
  }
  if (!reader.done()) return bad_group();
  return fields;
}

}  // namespace strongroom::record
