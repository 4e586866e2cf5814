#include "strongroom/gateway/request.h"

#include <algorithm>

#include "strongroom/v1/ticket.pb.h"

namespace strongroom::gateway {
namespace {

constexpr size_t kTermsMax = 32;
constexpr size_t kTicketBytesMax = 4096;

Error invalid(const char* text) {
  return make_error(ErrorCode::kInvalidArgument, text);
}
Error unknown_field() {
  return invalid("unknown field; `collection show` lists them");
}

}  // namespace

Result<TicketView> peek(const v1::SignedTicket& signed_ticket) {
  v1::Ticket ticket;
  if (signed_ticket.ticket().size() > kTicketBytesMax ||
      !ticket.ParseFromString(signed_ticket.ticket())) {
    return make_error(ErrorCode::kUnauthenticated,
                      "no valid ticket; sign one with your credential");
  }
  return TicketView{ticket.principal(), ticket.purpose(), CollectionId{ticket.collection()}};
}

Result<ChosenFields> choose_fields(const Collection& collection,
                                   const google::protobuf::RepeatedPtrField<std::string>& names,
                                   bool masked, uint32_t allowed) {
  ChosenFields out;
  if (names.empty()) {
    for (size_t i = 0; i < collection.fields.size(); ++i) {
      const Field& field = collection.fields[i];
      const bool shown =
          masked ? field.mask != v1::MASK_UNSPECIFIED : (allowed >> field.group.value & 1) != 0;
      if (shown) out.wanted.push_back(i);
    }
    if (masked && out.wanted.empty()) return invalid("this collection has no masked view");
  }
  for (const auto& name : names) {
    const auto at = collection.find(name);
    if (!at) return unknown_field();
    if (masked && collection.fields[*at].mask == v1::MASK_UNSPECIFIED) {
      return invalid("a field asked for has no masked view; leave it out, or ask without --masked");
    }
    out.wanted.push_back(*at);
  }
  if (masked) {
    out.groups = {kMaskedGroup};
    return out;
  }
  for (const size_t at : out.wanted) out.groups.push_back(collection.fields[at].group);
  std::sort(out.groups.begin(), out.groups.end());
  out.groups.erase(std::unique(out.groups.begin(), out.groups.end()), out.groups.end());
  if (out.groups.empty()) {
    return make_error(ErrorCode::kPermissionDenied,
                      "your role may see none of this collection's fields for this purpose; ask "
                      "whoever keeps the policy");
  }
  return out;
}

uint32_t group_mask(std::span<const GroupId> groups) {
  uint32_t mask = 0;
  for (const GroupId g : groups) mask |= 1u << g.value;
  return mask;
}

Result<SearchTerms> hash_terms(const Collection& collection,
                               const google::protobuf::RepeatedPtrField<v1::Term>& terms,
                               index::TermHasher& hasher) {
  if (terms.empty()) return invalid("a search needs at least one term, as in phone=13800138000");
  if (terms.size() > static_cast<int>(kTermsMax)) return invalid("too many terms in one search");
  SearchTerms out;
  for (const auto& term : terms) {
    const auto at = collection.find(term.field());
    if (!at) return unknown_field();
    const Field& field = collection.fields[*at];
    if (term.op() != v1::Term::EQUALS) return invalid("this kind of search is not known here");
    if (!field.exact) return invalid("this field is not indexed, so it cannot be searched");
    if (!index::valid_utf8(term.value())) return invalid("a search term is not valid UTF-8");
    SR_ASSIGN(const std::string norm, index::normalise(field.type, term.value(), field.region));
    if (norm.empty()) return invalid("a search term is empty");
    const TermHash hash = hasher(collection.id, field.id, index::Kind::kExact, norm);
    if (std::find(out.hashes.begin(), out.hashes.end(), hash) != out.hashes.end()) continue;
    out.hashes.push_back(hash);
    out.fields.push_back(*at);
  }
  return out;
}

std::string record_id(RecordIndex idx) {
  uint8_t bytes[5];
  store_be<uint64_t>(bytes, idx.value, 5);
  return to_hex(bytes);
}

std::optional<RecordIndex> parse_record_id(std::string_view text) {
  ByteArray<5> bytes{};
  if (!from_hex(text, bytes)) return std::nullopt;
  return RecordIndex{load_be<uint64_t>(bytes.data(), 5)};
}

}  // namespace strongroom::gateway
