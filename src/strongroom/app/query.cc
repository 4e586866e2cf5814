#include "strongroom/app/query.h"

#include <algorithm>
#include <iostream>

#include "strongroom/base/bytes.h"
#include "strongroom/env/clock.h"

namespace strongroom::app {

void add_query_options(CLI::App& command, QueryOptions& options, bool records) {
  command.add_option("--purpose", options.purpose, "Why: one of the purposes your role may name")
      ->required();
  command.add_option("--case", options.case_reference,
                     "The case this is about; many purposes require one");
  if (!records) return;
  command
      .add_option("--fields", options.fields,
                  "Only these fields: name,phone. Fewer groups are opened")
      ->delimiter(',');
  command.add_flag("--masked", options.masked, "The masked view only: 138****8000");
}

Result<OpenedQuery> open_query(const Global& global, const QueryOptions& options,
                               uint64_t records_max, std::string changes) {
  SR_ASSIGN(auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(auto schema, admin->collection(options.collection));
  TicketTerms terms;
  terms.purpose = options.purpose;
  terms.case_reference = options.case_reference;
  terms.collection = schema.id();
  terms.records_max = records_max;
  terms.changes = std::move(changes);
  auto ticket = sign_ticket(credential, terms, env::real_clock().wall_ms());
  SR_ASSIGN(auto vault, VaultClient::connect(credential));
  return OpenedQuery{std::move(credential), std::move(schema), std::move(ticket), std::move(vault)};
}

int fail_query(const Global& global, const Error& error, std::string_view about) {
  std::string contact;
  if (error.code == ErrorCode::kPermissionDenied || error.code == ErrorCode::kSearchDenied ||
      error.code == ErrorCode::kBudgetExhausted) {
    const auto known = [&]() -> Result<std::string> {
      SR_ASSIGN(const auto credential, load_credential(global.credential));
      SR_ASSIGN(auto admin, AdminClient::connect(credential));
      SR_ASSIGN(const auto shown,
                (admin->call<v1::ShowPolicyRequest, v1::ShowPolicyResponse>("ShowPolicy", {})));
      return shown.policy().contact();
    }();
    if (known) contact = *known;
  }
  return fail(global, error, about, contact);
}

std::string field_name(const v1::Collection& schema, int64_t id) {
  for (const auto& field : schema.fields()) {
    if (field.id() == id) return field.name();
  }
  return {};
}

void show_records(const Global& global, const v1::Collection& schema,
                  const v1::FindResponse& response, bool explain) {
  if (global.json) {
    std::string out = "{\"records\":[";
    for (int i = 0; i < response.records_size(); ++i) {
      const auto& record = response.records(i);
      out += (i == 0 ? "" : ",") + std::string("{\"id\":") + json_string(record.id()) +
             ",\"fields\":{";
      bool first = true;
      for (const auto& field : schema.fields()) {
        const auto value = record.fields().find(field.name());
        if (value == record.fields().end()) continue;
        out += (first ? "" : ",") + json_string(field.name()) + ":" + json_string(value->second);
        first = false;
      }
      out += "}}";
    }
    out += "],\"more\":" + std::string(response.more() ? "true" : "false") +
           ",\"leaf\":" + std::to_string(response.leaf());
    if (!response.cursor().empty()) {
      out += ",\"cursor\":" + json_string(to_base64(as_bytes(response.cursor())));
    }
    if (explain) out += ",\"explain\":" + to_json(response.explain());
    std::cout << out << "}\n";
    return;
  }
  size_t name_width = 0;
  for (const auto& field : schema.fields()) name_width = std::max(name_width, field.name().size());
  for (const auto& record : response.records()) {
    std::cout << record.id() << "\n";
    for (const auto& field : schema.fields()) {
      const auto value = record.fields().find(field.name());
      if (value == record.fields().end()) continue;
      std::string shown;
      for (const char c : value->second)
        shown += static_cast<uint8_t>(c) < 0x20 || c == 0x7f ? ' ' : c;
      std::cout << "  " << pad_right(field.name(), name_width + 2) << shown << "\n";
    }
  }
  const int n = response.records_size();
  std::cerr << (n == 0 ? std::string("no match")
                       : std::to_string(n) + (n == 1 ? " record" : " records"))
            << (response.more() ? ", and there are more" : "") << " - logged as entry "
            << response.leaf() << "\n";
  if (response.more()) {
    std::cerr << "the next: --cursor " << to_base64(as_bytes(response.cursor())) << "\n";
  }
  if (!explain) return;
  std::cerr << "\n";
  for (const auto& term : response.explain().terms()) {
    std::cerr << "  " << (term.negated() ? "not " : "") << v1::Term::Op_Name(term.op()) << " on "
              << term.field() << ": " << term.terms() << (term.terms() == 1 ? " term" : " terms")
              << " of the index, ";
    if (term.has_postings()) std::cerr << term.postings() << " postings known or read ";
    std::cerr << "in " << term.lanes() << " lanes\n";
  }
  const auto& e = response.explain();
  std::cerr << "  ";
  if (e.has_candidates()) {
    std::cerr << e.candidates() << " matches by the index; " << e.store_reads() << " store reads, ";
  } else {
    std::cerr << "how many match is for roles that may count; ";
  }
  std::cerr << e.round_trips() << " round trips to the key server; tokens " << e.tokens_us()
            << " us, postings " << e.postings_us() << " us, release " << e.release_us()
            << " us, opening " << e.open_us() << " us\n";
}

}  // namespace strongroom::app
