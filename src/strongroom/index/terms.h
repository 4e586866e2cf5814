// Terms: what a search is made of.
//   h_w = H(K_q, "sr1.kw" | 00h | collection u32le | field u16le | kind u8 | norm u8 |
//           norm(w))[0:16]
#pragma once

#include <string_view>

#include "strongroom/base/ids.h"
#include "strongroom/base/secret.h"
#include "strongroom/crypto/hash.h"

namespace strongroom::index {

enum class Kind : uint8_t {
  kDead = 0,  // Reserved, field 0: superseded (idx, u_lo) of a collection.
  kExact = 1,
  kUnique = 2,  // Terms of the unique rows.
};

// Holds K_q's cached HMAC state. Not thread-safe: one per thread.
class TermHasher {
 public:
  explicit TermHasher(const TermKey& key) : hmac_(key.read(SecretAccess{})) {}
  TermHash operator()(CollectionId collection, FieldId field, Kind kind,
                      std::string_view normalised);
  TermHash dead(CollectionId collection) {
    return (*this)(collection, FieldId{0}, Kind::kDead, {});
  }

 private:
  crypto::Hmac hmac_;
};

}  // namespace strongroom::index
