#include "strongroom/app/query.h"

#include <algorithm>
#include <iostream>

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

Result<v1::Term> parse_term(const std::string& text) {
  const size_t at = text.find_first_of("=~^:");
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) {
    return make_error(ErrorCode::kInvalidArgument,
                      "not a term; write field=value, as in phone=13800138000");
  }
  if (text[at] != '=') {
    return make_error(ErrorCode::kInvalidArgument,
                      "this version finds exact values only (field=value); prefixes, ranges and "
                      "fuzzy names come later");
  }
  v1::Term term;
  term.set_field(text.substr(0, at));
  std::string value = text.substr(at + 1);
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
    value = value.substr(1, value.size() - 2);
  term.set_value(std::move(value));
  return term;
}

Result<OpenedQuery> open_query(const Global& global, const QueryOptions& options,
                               uint64_t records_max) {
  SR_ASSIGN(auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(auto schema, admin->collection(options.collection));
  TicketTerms terms;
  terms.purpose = options.purpose;
  terms.case_reference = options.case_reference;
  terms.collection = schema.id();
  terms.records_max = records_max;
  auto ticket = sign_ticket(credential, terms, env::real_clock().wall_ms());
  SR_ASSIGN(auto vault, VaultClient::connect(credential));
  return OpenedQuery{std::move(credential), std::move(schema), std::move(ticket), std::move(vault)};
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
            << (response.more() ? ", and there are more; raise --limit or add a term" : "")
            << " - logged as entry " << response.leaf() << "\n";
  if (!explain) return;
  std::cerr << "\n";
  for (const auto& term : response.explain().terms()) {
    std::cerr << "  term on " << term.field() << ": " << term.postings()
              << " postings known or read in " << term.lanes() << " lanes\n";
  }
  const auto& e = response.explain();
  std::cerr << "  " << e.store_reads() << " store reads, " << e.round_trips()
            << " round trips to the key server; tokens " << e.tokens_us() << " us, postings "
            << e.postings_us() << " us, release " << e.release_us() << " us, opening "
            << e.open_us() << " us\n";
}

}  // namespace strongroom::app
