#include "strongroom/gateway/cursor.h"

#include "strongroom/base/bytes.h"
#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/derive.h"

namespace strongroom::gateway {
namespace {

constexpr char kCursorVersion = 1;
constexpr size_t kPlainSize = 4 + 5 + 4;
constexpr size_t kCursorBytesMax = 128;

}  // namespace

Cursors::Cursors(const TermKey& term_key)
    : key_(crypto::derive_sealing_key(term_key.read(SecretAccess{}), "sr1.cursor")) {}

std::string Cursors::seal(const Match& last, std::string_view asked) const {
  std::string plain;
  append_be(plain, last.rank);
  append_be(plain, last.posting.idx.value, 5);
  append_be(plain, last.posting.u_lo);
  return kCursorVersion + crypto::xchacha_seal(key_, as_bytes(asked), as_bytes(plain));
}

Result<Match> Cursors::open(std::string_view cursor, std::string_view asked) const {
  const Error wrong =
      make_error(ErrorCode::kInvalidArgument,
                 "this cursor belongs to another search, or is none; begin without");
  if (cursor.empty() || cursor.size() > kCursorBytesMax || cursor[0] != kCursorVersion)
    return wrong;
  const auto opened = crypto::xchacha_open(key_, as_bytes(asked), as_bytes(cursor.substr(1)));
  if (!opened) return wrong;
  const Bytes plain = opened->read(SecretAccess{});
  if (plain.size() != kPlainSize) return wrong;
  Match out;
  out.rank = load_be<uint32_t>(plain.data());
  out.posting.idx = RecordIndex{load_be<uint64_t>(plain.data() + 4, 5)};
  out.posting.u_lo = load_be<uint32_t>(plain.data() + 9);
  return out;
}

}  // namespace strongroom::gateway
