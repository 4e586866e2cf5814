// Where an answer stopped, sealed for the gateway's own eyes: which records match and how well is
// nothing that a caller is told by a cursor.
//
//   cursor  ver 01h | XChaCha20-Poly1305(key H(K_q, "sr1.cursor"), AD what was asked,
//           rank u32be | idx u40be | u_lo u32be)
#pragma once

#include <string>

#include "strongroom/base/secret.h"
#include "strongroom/gateway/search.h"

namespace strongroom::gateway {

class Cursors {
 public:
  explicit Cursors(const TermKey& term_key);
  // `asked` is what the cursor is good for: collection and terms.
  std::string seal(const Match& last, std::string_view asked) const;
  //   kInvalidArgument  Not one of this gateway's, or of another search.
  Result<Match> open(std::string_view cursor, std::string_view asked) const;

 private:
  SealingKey key_;
};

}  // namespace strongroom::gateway
