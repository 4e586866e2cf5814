// Reading a request by the catalog: its ticket, the fields to answer with, its terms. Nothing here
// is a decision: the key server makes them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "strongroom/crypto/hash.h"
#include "strongroom/gateway/catalog.h"
#include "strongroom/gateway/search.h"
#include "strongroom/index/terms.h"
#include "strongroom/v1/keyservice.pb.h"
#include "strongroom/v1/vault.pb.h"

namespace strongroom::gateway {

// Unverified: the gateway only needs to know which schema to read the request by.
struct TicketView {
  std::string principal;
  std::string purpose;
  CollectionId collection;
  bool exports = false;
};
//   kUnauthenticated  Not a ticket.
Result<TicketView> peek(const v1::SignedTicket& signed_ticket);

struct ChosenFields {
  std::vector<size_t> wanted;   // Positions in Collection::fields.
  std::vector<GroupId> groups;  // That hold them, ascending.
};
// `names` empty: all with a mask, or all in groups of `allowed`.
//   kInvalidArgument   An unknown field, or one without a masked view asked for masked.
//   kPermissionDenied  No group is allowed.
Result<ChosenFields> choose_fields(const Collection& collection,
                                   const google::protobuf::RepeatedPtrField<std::string>& names,
                                   bool masked, uint32_t allowed);
uint32_t group_mask(std::span<const GroupId> groups);
Error no_such_record();

// What a search asks for, in terms.
struct SearchTerms {
  google::protobuf::RepeatedPtrField<v1::SearchTerm> terms;  // No repeats.
  std::vector<uint64_t> near;  // For each: of its neighbourhood, or 0.
  SearchPlan plan;             // Names terms by their place in `terms`.
  struct Asked {               // For each clause of the plan, to explain it.
    size_t field;              // Position in Collection::fields; of a composite, its first part.
    v1::Term::Op op;
    size_t terms;
  };
  std::vector<Asked> asked;

  size_t terms_count() const { return static_cast<size_t>(terms.size()); }
};
//   kInvalidArgument  No term or too many, a field that is unknown or not indexed so, a value its
//                     type refuses, or nothing but terms that are negated.
//   kTooBroad         More than kSearchTermsMax terms of the index; number: how many.
Result<SearchTerms> hash_terms(const Collection& collection,
                               const google::protobuf::RepeatedPtrField<v1::Term>& terms,
                               index::TermHasher& hasher);
inline constexpr size_t kSearchTermsMax = 256;

// What a request_id stands for: the request without its ticket.
template <class Request>
std::string request_hash(Request request) {
  request.clear_ticket();
  return std::string(as_text(crypto::sha256(as_bytes(request.SerializeAsString()))));
}

// Record ids as people and programs see them: ten hex digits.
std::string record_id(RecordIndex idx);
std::optional<RecordIndex> parse_record_id(std::string_view text);

}  // namespace strongroom::gateway
