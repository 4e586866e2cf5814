#include "strongroom/app/query.h"

namespace strongroom::app {
namespace {

struct GetOptions : QueryOptions {
  std::vector<std::string> ids;
};

Result<void> run(const Global& global, const GetOptions& options) {
  SR_ASSIGN(auto query, open_query(global, options, options.ids.size()));
  v1::GetRequest request;
  *request.mutable_ticket() = query.ticket;
  request.set_request_id(fresh_id());
  for (const auto& id : options.ids) request.add_ids(id);
  for (const auto& field : options.fields) request.add_fields(field);
  request.set_masked(options.masked);
  SR_ASSIGN(const auto response,
            (query.vault->call<v1::GetRequest, v1::FindResponse>("Get", request)));
  show_records(global, query.schema, response, false);
  return {};
}

}  // namespace

void add_get(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<GetOptions>();
  auto* command = app.add_subcommand("get", "Open records by their id, as find shows it");
  command->add_option("COLLECTION", options->collection, "Such as person")->required();
  command->add_option("ID", options->ids, "Ten hex digits; several are allowed")->required();
  add_query_options(*command, *options, true);
  command->footer(
      "Example:\n  strongroom get person 0000000abc --purpose investigation --case A-2026-117");
  command->callback([&global, &status, options] {
    if (const auto done = run(global, *options); !done) status = fail_query(global, done.error());
  });
}

}  // namespace strongroom::app
