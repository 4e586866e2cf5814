// Terms: what a search is made of.
//   h_w = H(K_q, "sr1.kw" | 00h | collection u32le | field u16le | kind u8 | norm u8 |
//           norm(w))[0:16]
#pragma once

#include <string_view>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/base/secret.h"
#include "strongroom/crypto/hash.h"

namespace strongroom::index {

enum class Kind : uint8_t {
  kDead = 0,  // Reserved, field 0: superseded (idx, u_lo) of a collection.
  kExact = 1,
  kUnique = 2,  // Terms of the unique rows.
  kPrefix = 3,
  kDateNode = 4,
  kIntegerNode = 5,
  kNameWhole = 6,  // Simplified characters, or Latin parts in order.
  kNameTones = 7,
  kNamePinyin = 8,
  kNameCharacter = 9,  // At its place.
  kNameSyllable = 10,  // At its place, without tone.
  kNamePair = 11,
  kNamePart = 12,
  kNameSound = 13,
  kNameLost = 14,  // A part without one of its letters.
  kWord = 15,
  kComposite = 16,
  kNear = 17,  // No term of the index: what neighbouring values share, for the key server's watch.
};

// Holds K_q's cached HMAC state, and the last hashes of short terms of the kinds that come again
// and again (characters of names, words, years): plaintext, wiped with it. Not thread-safe: one per
// thread.
class TermHasher {
 public:
  explicit TermHasher(const TermKey& key);
  ~TermHasher();
  TermHash operator()(CollectionId collection, FieldId field, Kind kind,
                      std::string_view normalised);
  TermHash dead(CollectionId collection) {
    return (*this)(collection, FieldId{0}, Kind::kDead, {});
  }

 private:
  struct Known;
  TermHash hash(CollectionId collection, FieldId field, Kind kind, std::string_view normalised);

  crypto::Hmac hmac_;
  std::vector<Known> known_;  // By a hash of the term; made on first use.
};

}  // namespace strongroom::index
