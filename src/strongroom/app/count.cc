#include <iostream>

#include "strongroom/app/query.h"

namespace strongroom::app {
namespace {

struct CountOptions : QueryOptions {
  std::vector<std::string> terms;
};

Result<void> run(const Global& global, const CountOptions& options, std::string& about) {
  v1::CountRequest request;
  SR_ASSIGN(auto query, open_query(global, options, 0));
  for (const auto& text : options.terms) {
    SR_ASSIGN(*request.add_terms(), parse_term(text, query.schema));
  }
  *request.mutable_ticket() = query.ticket;
  request.set_request_id(fresh_id());
  SR_ASSIGN(const auto response,
            (ask<v1::CountRequest, v1::CountResponse>(query, "Count", request, about)));
  if (global.json) {
    std::cout << "{\"count\":" << response.count() << ",\"leaf\":" << response.leaf() << "}\n";
  } else {
    std::cout << response.count() << "\n";
  }
  return {};
}

}  // namespace

void add_count(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<CountOptions>();
  auto* command = app.add_subcommand(
      "count", "Count matching records: nothing is opened, but it is metered and logged");
  command->add_option("COLLECTION", options->collection, "Such as person")->required();
  command->add_option("TERM", options->terms, kTermHelp)->required();
  add_query_options(*command, *options, false);
  command->footer("Example:\n  strongroom count person dob=1980-01-31 --purpose service");
  command->callback([&global, &status, options] {
    std::string about;
    const auto done = run(global, *options, about);
    if (!done) status = fail_query(global, done.error(), about);
  });
}

}  // namespace strongroom::app
