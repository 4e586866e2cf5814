#include "strongroom/gateway/request.h"

#include <algorithm>
#include <set>

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
  return TicketView{ticket.principal(), ticket.purpose(), CollectionId{ticket.collection()},
                    ticket.export_() != 0};
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

Error no_such_record() {
  return make_error(ErrorCode::kNotFound, "no such record: erased, or it never existed");
}

uint32_t group_mask(std::span<const GroupId> groups) {
  uint32_t mask = 0;
  for (const GroupId g : groups) mask |= 1u << g.value;
  return mask;
}

namespace {

index::Op op_of(v1::Term::Op op) {
  switch (op) {
    case v1::Term::PREFIX:
      return index::Op::kPrefix;
    case v1::Term::RANGE:
      return index::Op::kRange;
    case v1::Term::FUZZY:
      return index::Op::kFuzzy;
    case v1::Term::WORDS:
      return index::Op::kWords;
    default:
      return index::Op::kEquals;
  }
}

// The index that a kind of term is of: what a role is allowed to search by.
v1::IndexKind index_of(index::Kind kind) {
  switch (kind) {
    case index::Kind::kPrefix:
      return v1::PREFIX;
    case index::Kind::kDateNode:
    case index::Kind::kIntegerNode:
      return v1::RANGE;
    case index::Kind::kNameWhole:
    case index::Kind::kNameTones:
    case index::Kind::kNamePinyin:
    case index::Kind::kNameCharacter:
    case index::Kind::kNameSyllable:
    case index::Kind::kNamePair:
    case index::Kind::kNamePart:
    case index::Kind::kNameSound:
    case index::Kind::kNameLost:
      return v1::FUZZY;
    case index::Kind::kWord:
      return v1::WORDS;
    case index::Kind::kExact:
      return v1::EXACT;
    case index::Kind::kDead:
    case index::Kind::kNear:
    case index::Kind::kUnique:
    case index::Kind::kComposite:
      break;
  }
  SR_CHECK(false, "a search asks by an index");
  return v1::INDEX_KIND_UNSPECIFIED;
}

// One condition of a request, still in words.
struct Condition : index::Condition {
  size_t field = 0;
  v1::Term::Op op = v1::Term::EQUALS;
  bool negated = false;
  bool used = false;  // By a composite.
};

size_t characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

bool is_building(const Field& field, const index::FieldTerm& term) {
  const v1::IndexKind kind = index_of(term.kind);
  return std::any_of(field.building.begin(), field.building.end(), [&](const auto& building) {
    return building.kind == kind &&
           (kind != v1::PREFIX || characters(term.norm) == building.prefix);
  });
}

Error still_building() {
  return make_error(ErrorCode::kFailedPrecondition,
                    "this index is still being built, and older records are not all in it (the "
                    "number is how much is done, in percent); search in another way, or again when "
                    "`strongroom reindex` has finished");
}

Result<Condition> read_condition(const Collection& collection, const v1::Term& term) {
  const auto at = collection.find(term.field());
  if (!at) return unknown_field();
  if (!v1::Term::Op_IsValid(term.op())) return invalid("this kind of search is not known here");
  const bool range = term.op() == v1::Term::RANGE;
  if (!range && !term.value_to().empty()) {
    return invalid("only a range has an end (value_to)");
  }
  if (range && !term.or_values().empty()) {
    return invalid("a range takes no further values (or_values); ask twice");
  }
  if (term.or_values_size() > static_cast<int>(kTermsMax)) {
    return invalid("too many values in one term");
  }
  Condition out;
  out.field = *at;
  out.op = term.op();
  out.negated = term.negated();
  const auto add = [&](const std::string& value) -> Result<void> {
    if (!index::valid_utf8(value) || !index::valid_utf8(term.value_to())) {
      return invalid("a search term is not valid UTF-8");
    }
    if (value.empty() && !range) return invalid("a search term is empty");
    return index::condition_terms(collection.fields[*at].index, op_of(term.op()), value,
                                  term.value_to(), out);
  };
  if (range && term.value().empty() && term.value_to().empty()) {
    return invalid("a range needs a beginning or an end");
  }
  SR_TRY(add(term.value()));
  for (const auto& value : term.or_values()) SR_TRY(add(value));
  for (const auto& alternative : out.any_of) {
    for (const auto& made : alternative.all_of) {
      if (is_building(collection.fields[*at], made)) return still_building();
    }
  }
  return out;
}

// The one term of a condition that is just that.
const index::FieldTerm* single(const Condition& condition) {
  if (condition.negated || condition.used || condition.any_of.size() != 1 ||
      condition.any_of[0].all_of.size() != 1) {
    return nullptr;
  }
  return &condition.any_of[0].all_of[0];
}

// The condition, if any, that asks for just what a part of a composite holds.
Condition* asks_for(std::vector<Condition>& conditions, const Composite::Part& part) {
  for (Condition& condition : conditions) {
    const index::FieldTerm* term = single(condition);
    if (term == nullptr || condition.field != part.field || term->kind != part.kind) continue;
    if (part.size == 0 || characters(term->norm) == part.size) return &condition;
  }
  return nullptr;
}

}  // namespace

Result<SearchTerms> hash_terms(const Collection& collection,
                               const google::protobuf::RepeatedPtrField<v1::Term>& terms,
                               index::TermHasher& hasher) {
  if (terms.empty()) return invalid("a search needs at least one term, as in phone=13800138000");
  if (terms.size() > static_cast<int>(kTermsMax)) return invalid("too many terms in one search");
  std::vector<Condition> conditions;
  for (const auto& term : terms) {
    SR_ASSIGN(conditions.emplace_back(), read_condition(collection, term));
  }
  if (std::all_of(conditions.begin(), conditions.end(), [](const auto& c) { return c.negated; })) {
    return invalid("a search needs a term that is not negated; most records do not match a value");
  }

  SearchTerms out;
  const auto place_of = [&](FieldId field, index::Kind kind, std::string_view norm) {
    const TermHash hash = hasher(collection.id, field, kind, norm);
    const std::string_view h_w = as_text(hash.bytes);
    const auto known = std::find_if(out.terms.begin(), out.terms.end(),
                                    [&](const v1::SearchTerm& term) { return term.h_w() == h_w; });
    const auto place = static_cast<uint16_t>(known - out.terms.begin());
    if (known != out.terms.end()) return place;
    v1::SearchTerm& term = *out.terms.Add();
    term.set_h_w(std::string(h_w));
    if (kind == index::Kind::kComposite) {
      term.set_composite(field.value);
    } else {
      term.set_field(field.value);
      term.set_kind(index_of(kind));
    }
    return place;
  };
  const auto note_near = [&](size_t place, const Field& field, std::string_view norm) {
    const std::string_view shared = index::neighbourhood_of(field.type, norm);
    if (shared.empty()) return;
    out.near.resize(std::max(out.near.size(), place + 1));
    const TermHash hash = hasher(collection.id, field.id, index::Kind::kNear, shared);
    out.near[place] = load_le<uint64_t>(hash.bytes.data());
  };
  for (const Composite& composite : collection.composites) {
    if (composite.building) continue;  // Its parts find the same.
    std::vector<Condition*> parts;
    for (const auto& part : composite.parts) parts.push_back(asks_for(conditions, part));
    if (std::find(parts.begin(), parts.end(), nullptr) != parts.end()) continue;
    size_t next = 0;
    const auto norm = composite_norm(
        composite, [&](const Composite::Part&) { return single(*parts[next++])->norm; });
    for (Condition* part : parts) part->used = true;
    out.plan.clauses.push_back(
        {{{{place_of(FieldId{composite.id}, index::Kind::kComposite, *norm)}, 0}}, false});
    out.asked.push_back({parts[0]->field, parts[0]->op, 1});
  }
  for (const Condition& condition : conditions) {
    out.plan.newest_first |= condition.newest_first && !condition.negated;
    if (condition.used) continue;
    SearchPlan::Clause clause;
    clause.negated = condition.negated;
    std::set<uint16_t> distinct;
    for (const auto& alternative : condition.any_of) {
      SearchPlan::Alternative& one = clause.any_of.emplace_back();
      one.rank = alternative.rank;
      for (const auto& term : alternative.all_of) {
        one.all_of.push_back(place_of(collection.fields[condition.field].id, term.kind, term.norm));
        distinct.insert(one.all_of.back());
        if (term.kind == index::Kind::kExact) {
          note_near(one.all_of.back(), collection.fields[condition.field], term.norm);
        }
      }
    }
    const auto& known = out.plan.clauses;
    if (std::find(known.begin(), known.end(), clause) != known.end()) continue;
    out.asked.push_back({condition.field, condition.op, distinct.size()});
    out.plan.clauses.push_back(std::move(clause));
  }
  if (out.terms.size() > static_cast<int>(kSearchTermsMax)) {
    return make_error(ErrorCode::kTooBroad,
                      "this search takes more than 256 terms of the index; ask for less at once, "
                      "such as a shorter range or fewer names",
                      out.terms.size());
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
