#include "strongroom/app/subject_search.h"

#include <algorithm>
#include <iostream>

#include "strongroom/env/clock.h"
#include "strongroom/gateway/request.h"

namespace strongroom::app {
namespace {

bool has_fields(const v1::Collection& schema, const std::vector<std::string>& terms) {
  return std::all_of(terms.begin(), terms.end(), [&](const std::string& text) {
    const auto term = parse_term(text, schema);
    return term &&
           std::any_of(schema.fields().begin(), schema.fields().end(),
                       [&](const v1::Field& field) { return field.name() == term->field(); });
  });
}

Result<v1::FindResponse> look_up(const Credential& credential, VaultClient& vault,
                                 const QueryOptions& options, const std::vector<std::string>& terms,
                                 const v1::Collection& schema, SubjectAsk asked) {
  TicketTerms ticket;
  ticket.purpose = options.purpose;
  ticket.case_reference = options.case_reference;
  ticket.collection = schema.id();
  ticket.records_max = asked.records_max;
  v1::FindRequest request;
  *request.mutable_ticket() = sign_ticket(credential, ticket, env::real_clock().wall_ms());
  request.set_request_id(fresh_id());
  for (const std::string& text : terms) {
    SR_ASSIGN(*request.add_terms(), parse_term(text, schema));
  }
  request.set_masked(asked.masked);
  request.set_limit(asked.records_max);
  SR_ASSIGN(auto response, (vault.call<v1::FindRequest, v1::FindResponse>("Find", request)));
  if (response.more()) {
    return make_error(ErrorCode::kTooBroad,
                      "these terms match more records than one person has (the number is the "
                      "most); nothing was done. Add a term",
                      asked.records_max);
  }
  return response;
}

}  // namespace

std::vector<RecordIndex> SubjectFound::records() const {
  std::vector<RecordIndex> out;
  for (const auto& record : response.records()) {
    const auto idx = gateway::parse_record_id(record.id());
    if (idx) out.push_back(*idx);
  }
  return out;
}

std::string SubjectSearch::skipped_json() const {
  std::string out = "[";
  for (const std::string& name : skipped) {
    out += (out.size() == 1 ? "" : ",") + json_string(name);
  }
  return out + "]";
}

Result<SubjectSearch> find_subject(const Credential& credential, AdminClient& admin,
                                   VaultClient& vault, const QueryOptions& options,
                                   const std::vector<std::string>& terms, SubjectAsk asked,
                                   std::string& about) {
  SR_ASSIGN(const auto listed, (admin.call<v1::ListCollectionsRequest, v1::ListCollectionsResponse>(
                                   "ListCollections", {})));
  SubjectSearch out;
  for (const v1::Collection& schema : listed.collections()) {
    if (!has_fields(schema, terms)) continue;
    auto there = look_up(credential, vault, options, terms, schema, asked);
    if (!there && there.error().code == ErrorCode::kPermissionDenied) {
      // Said, not passed over: somebody else has to look there.
      std::cerr << "not searched: " << schema.name() << ": " << there.error().text << "\n";
      out.skipped.push_back(schema.name());
      continue;
    }
    about = schema.name();
    if (!there) return there.error();
    out.found.push_back({schema, *std::move(there)});
  }
  about.clear();
  if (out.found.empty()) {
    return make_error(ErrorCode::kNotFound,
                      "no collection has these fields, or none of them is open to your role for "
                      "this purpose");
  }
  return out;
}

}  // namespace strongroom::app
