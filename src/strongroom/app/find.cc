#include "strongroom/app/query.h"

namespace strongroom::app {
namespace {

struct FindOptions : QueryOptions {
  std::vector<std::string> terms;
  std::string cursor;
};

Result<void> run(const Global& global, const FindOptions& options, std::string& about) {
  v1::FindRequest request;
  SR_ASSIGN(auto query, open_query(global, options, options.limit));
  for (const auto& text : options.terms) {
    SR_ASSIGN(*request.add_terms(), parse_term(text, query.schema));
  }
  if (!from_base64(options.cursor, request.mutable_cursor())) {
    return make_error(ErrorCode::kInvalidArgument,
                      "this cursor was not copied whole; copy it again from the answer before");
  }
  *request.mutable_ticket() = query.ticket;
  request.set_request_id(fresh_id());
  for (const auto& field : options.fields) request.add_fields(field);
  request.set_masked(options.masked);
  request.set_limit(options.limit);
  request.set_explain(options.explain);
  SR_ASSIGN(const auto response,
            (ask<v1::FindRequest, v1::FindResponse>(query, "Find", request, about)));
  show_records(global, query.schema, response, options.explain);
  return {};
}

}  // namespace

void add_find(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<FindOptions>();
  auto* command = app.add_subcommand("find", "Find records: metered, and logged before they leave");
  command->add_option("COLLECTION", options->collection, "Such as person")->required();
  command->add_option("TERM", options->terms, kTermHelp)->required();
  add_query_options(*command, *options, true);
  command->add_option("--limit", options->limit, "At most this many records (20)")
      ->check(CLI::Range(1, 1000));
  command->add_option("--cursor", options->cursor,
                      "Go on behind an earlier answer to the same terms");
  command->add_flag("--explain", options->explain, "Show what the search cost: never a value");
  command->footer(
      "Examples:\n"
      "  strongroom find person phone=13800138000 --purpose investigation --case A-2026-117\n"
      "  strongroom find person name=王伟 dob=1980-01-31 --purpose service --fields name,phone "
      "--masked\n"
      "  strongroom find person name~\"wang xiaoming\" dob=1980..1989 --purpose service\n"
      "  strongroom find incident summary:盗窃 date=2024 category!=诈骗 --purpose investigation "
      "--case A-1\n"
      "  strongroom find incident reporter_phone=13800138000 --purpose investigation --case "
      "A-2026-117 --json");
  command->callback([&global, &status, options] {
    std::string about;
    const auto done = run(global, *options, about);
    if (!done) status = fail_query(global, done.error(), about);
  });
}

}  // namespace strongroom::app
