#include "strongroom/app/query.h"

namespace strongroom::app {
namespace {

struct Options : QueryOptions {
  std::vector<std::string> terms;
};

Result<void> run(const Global& global, const Options& options) {
  v1::FindRequest request;
  for (const auto& text : options.terms) {
    SR_ASSIGN(*request.add_terms(), parse_term(text));
  }
  SR_ASSIGN(auto query, open_query(global, options, options.limit));
  *request.mutable_ticket() = query.ticket;
  request.set_request_id(fresh_id());
  for (const auto& field : options.fields) request.add_fields(field);
  request.set_masked(options.masked);
  request.set_limit(options.limit);
  request.set_explain(options.explain);
  SR_ASSIGN(const auto response,
            (query.vault->call<v1::FindRequest, v1::FindResponse>("Find", request)));
  show_records(global, query.schema, response, options.explain);
  return {};
}

}  // namespace

void add_find(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "find", "Find records by exact terms: metered, and logged before they leave");
  command->add_option("COLLECTION", options->collection, "Such as person")->required();
  command->add_option("TERM", options->terms, "field=value; several must all match")->required();
  add_query_options(*command, *options, true);
  command->add_option("--limit", options->limit, "At most this many records (20)")
      ->check(CLI::Range(1, 1000));
  command->add_flag("--explain", options->explain, "Show what the search cost: never a value");
  command->footer(
      "Examples:\n"
      "  strongroom find person phone=13800138000 --purpose investigation --case A-2026-117\n"
      "  strongroom find person name=王伟 dob=1980-01-31 --purpose service --fields name,phone "
      "--masked\n"
      "  strongroom find incident reporter_phone=13800138000 --purpose investigation --case "
      "A-2026-117 --json");
  command->callback([&global, &status, options] {
    if (const auto done = run(global, *options); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
