#include "strongroom/index/directory.h"

#include <algorithm>

#include "strongroom/base/check.h"
#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/random.h"

namespace strongroom::index {
namespace {

constexpr uint8_t kDirectoryVersion = 1;
constexpr uint8_t kKindWrite = 0;
constexpr uint8_t kKindWideWrite = 2;
constexpr uint8_t kKindTerms = 3;
constexpr size_t kNumberSize = 5;
constexpr uint64_t kNumberMax = (uint64_t{1} << 40) - 1;
constexpr size_t kHashSize = sizeof(TermHash::bytes);
constexpr size_t kTermSizeMax = kHashSize + 5 + 5;  // Varints of 33 and of 32 bits.
constexpr size_t kWriteHead = 1 + 5 + 4 + 2;
constexpr size_t kTermsHead = 1 + 2;
// What the varints of one row take together says next to nothing; this leaves next to nothing.
constexpr size_t kTermsStep = 256;
constexpr size_t kOverhead = 1 + crypto::kGcmNonceSize + crypto::kGcmTagSize;
constexpr size_t kValueSizeMax = kOverhead + kWriteHead + kTermsPerWriteMax * kHashSize;
static_assert(kTermsHead + DirectoryWriter::kTermsPerRow * kTermSizeMax + kTermsStep <=
              kValueSizeMax);

using Ad = ByteArray<4 + kDirectoryKeySize>;

size_t padded_terms(size_t count, WritePadding padding) {
  const auto step = static_cast<size_t>(padding);
  return (count + step - 1) / step * step;
}

size_t padded_row(size_t size) {
  return (size + kTermsStep - 1) / kTermsStep * kTermsStep;
}

bool rest_is_zero(ByteReader& in) {
  const Bytes rest = in.take(in.remaining());
  return std::all_of(rest.begin(), rest.end(), [](uint8_t b) { return b == 0; });
}

SealingKey directory_key(const LaneRoot& root) {
  crypto::Digest digest = crypto::hmac_sha256(root.read(SecretAccess{}), {as_bytes("sr1.dir")});
  SealingKey key{std::span<const uint8_t, 32>(digest)};
  explicit_bzero(digest.data(), digest.size());
  return key;
}

Ad ad_of(Bytes row_key) {
  Ad ad = {'S', 'R', '1', 'D'};
  std::copy(row_key.begin(), row_key.end(), ad.begin() + 4);
  return ad;
}

Error damaged_directory() {
  return make_error(ErrorCode::kDataLoss,
                    "a directory row is damaged, forged or from another place; restore the store "
                    "from a backup");
}

TermHash take_hash(ByteReader& in) {
  TermHash h_w;
  const Bytes bytes = in.take(kHashSize);
  std::copy(bytes.begin(), bytes.end(), h_w.bytes.begin());
  return h_w;
}

Result<DirectoryRow> parse_write(ByteReader in, WritePadding padding) {
  DirectoryRow row;
  Posting posting;
  posting.idx.value = in.le(5);
  posting.u_lo = static_cast<uint32_t>(in.le(4));
  const size_t count = in.le(2);
  if (!in.ok() || count > kTermsPerWriteMax ||
      in.remaining() != padded_terms(count, padding) * kHashSize) {
    return damaged_directory();
  }
  row.write = posting;
  row.terms.reserve(count);
  for (size_t i = 0; i < count; ++i) row.terms.push_back({take_hash(in), 1});
  if (!rest_is_zero(in)) return damaged_directory();
  return row;
}

Result<DirectoryRow> parse_terms(ByteReader in) {
  DirectoryRow row;
  const size_t size = in.remaining() + 1;
  const size_t count = in.le(2);
  if (!in.ok() || count == 0 || count > DirectoryWriter::kTermsPerRow) return damaged_directory();
  row.terms.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    if (in.remaining() < kHashSize) return damaged_directory();
    TermCount term{take_hash(in), 0};
    const uint64_t code = in.varint();
    const bool packed = code % 2 != 0;
    const uint64_t blocks = packed ? in.varint() : 0;
    // A block has a posting at least.
    if (!in.ok() || code / 2 == 0 || code / 2 > kTermPostingsMax || blocks > code / 2 ||
        packed != (code / 2 >= kPackedMin) || packed != (blocks != 0) ||
        (i > 0 && term.h_w <= row.terms.back().h_w)) {
      return damaged_directory();
    }
    term.count = static_cast<uint32_t>(code / 2);
    term.blocks = static_cast<uint32_t>(blocks);
    row.terms.push_back(term);
  }
  if (size != padded_row(size - in.remaining())) return damaged_directory();
  return rest_is_zero(in) ? Result<DirectoryRow>(std::move(row)) : damaged_directory();
}

}  // namespace

DirectoryWriter::DirectoryWriter(LaneId lane, const LaneRoot& root)
    : lane_(lane), key_(directory_key(root)) {}

SealedRow DirectoryWriter::seal(Bytes plaintext) {
  SR_CHECK(number_ <= kNumberMax, "a lane has fewer than 2^40 directory rows");
  SealedRow row;
  row.key.reserve(kDirectoryKeySize);
  append_be(row.key, lane_.value, kLaneSize);
  append_be(row.key, number_++, kNumberSize);
  ByteArray<crypto::kGcmNonceSize> nonce;
  crypto::random_nonce(nonce);
  row.value.reserve(kOverhead + plaintext.size());
  row.value.push_back(static_cast<char>(kDirectoryVersion));
  append(row.value, nonce);
  crypto::gcm_seal(key_.read(SecretAccess{}), nonce, ad_of(as_bytes(row.key)), plaintext,
                   row.value);
  return row;
}

SealedRow DirectoryWriter::write_row(const Posting& posting, std::span<const TermHash> terms,
                                     WritePadding padding) {
  SR_CHECK(terms.size() <= kTermsPerWriteMax, "a write has at most 4096 terms");
  std::string plain;
  const size_t size = kWriteHead + padded_terms(terms.size(), padding) * kHashSize;
  plain.reserve(size);
  append_le(plain, padding == WritePadding::kWide ? kKindWideWrite : kKindWrite);
  append_le(plain, posting.idx.value, 5);
  append_le(plain, posting.u_lo);
  append_le(plain, static_cast<uint16_t>(terms.size()));
  for (const TermHash& h_w : terms) append(plain, h_w.bytes);
  plain.resize(size, '\0');
  return seal(as_bytes(plain));
}

SealedRow DirectoryWriter::terms_row(std::span<const TermCount> terms) {
  SR_CHECK(!terms.empty() && terms.size() <= kTermsPerRow, "a directory row has 1..192 terms");
  std::string plain;
  plain.reserve(padded_row(kTermsHead + terms.size() * kTermSizeMax));
  append_le(plain, kKindTerms);
  append_le(plain, static_cast<uint16_t>(terms.size()));
  for (const TermCount& term : terms) {
    append(plain, term.h_w.bytes);
    append_varint(plain, uint64_t{term.count} * 2 + (term.blocks != 0));
    if (term.blocks != 0) append_varint(plain, term.blocks);
  }
  plain.resize(padded_row(plain.size()), '\0');
  return seal(as_bytes(plain));
}

DirectoryReader::DirectoryReader(LaneId lane, const LaneRoot& root)
    : lane_(lane), key_(directory_key(root)) {}

Result<DirectoryRow> DirectoryReader::open(Bytes key, Bytes value) const {
  if (key.size() != kDirectoryKeySize || load_be<uint32_t>(key.data(), kLaneSize) != lane_.value ||
      value.size() <= kOverhead || value.size() > kValueSizeMax || value[0] != kDirectoryVersion) {
    return damaged_directory();
  }
  const auto nonce = value.subspan(1).first<crypto::kGcmNonceSize>();
  std::string plain(value.size() - kOverhead, '\0');
  SR_TRY(crypto::gcm_open(key_.read(SecretAccess{}), nonce, ad_of(key),
                          value.subspan(1 + crypto::kGcmNonceSize),
                          {reinterpret_cast<uint8_t*>(plain.data()), plain.size()}));
  ByteReader in(as_bytes(plain));
  const uint64_t kind = in.be(1);
  if (kind == kKindWrite) return parse_write(in, WritePadding::kNarrow);
  if (kind == kKindWideWrite) return parse_write(in, WritePadding::kWide);
  if (kind == kKindTerms) return parse_terms(in);
  return damaged_directory();
}

Result<DirectoryRow> open_directory_row(LaneId lane, const LaneRoot& root, Bytes key, Bytes value) {
  return DirectoryReader(lane, root).open(key, value);
}

}  // namespace strongroom::index
