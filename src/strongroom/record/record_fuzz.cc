// parse_row() on any bytes, open_group() on any row, and on a group that was sealed with any
// plaintext.
#include "strongroom/base/check.h"
#include "strongroom/crypto/aead.h"
#include "strongroom/record/record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strongroom;
  const RecordKey key;
  const CollectionId collection{7};
  const RecordIndex idx{0x3abc};
  const Bytes input{data, size};

  if (const auto row = record::parse_row(input)) {
    for (const auto& group : row->groups) {
      SR_CHECK(!record::open_group(collection, idx, *row, group.group, key), "a forgery opened");
    }
  }

  // The writer may be the enemy too: authentic, but no fields inside.
  if (size == 0 || size > 4096 || record::padded_size(size) != size) return 0;
  std::string bytes("\x01\x01\0\0\0\0\0\x05\x02", 9);
  append_be(bytes, size + 28, 3);
  const size_t header_size = bytes.size();
  std::string ad = "SR1" + record::row_key(collection, idx) + bytes + "\x02";
  const ByteArray<12> nonce{};
  append(bytes, nonce);
  crypto::gcm_seal(key.read(SecretAccess{}), nonce, as_bytes(ad), input, bytes);
  const auto row = record::parse_row(as_bytes(bytes));
  SR_CHECK(row && row->bytes.size() == header_size, "our own row did not parse");
  const auto fields = record::open_group(collection, idx, *row, GroupId{2}, key);
  if (!fields) return 0;
  size_t total = 1;
  for (const auto& field : *fields) total += 5 + field.value.size();
  // A filler, which is no field, may stand behind them.
  SR_CHECK(record::padded_size(total) <= size, "fields and padding do not add up");
  return 0;
}
