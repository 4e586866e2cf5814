// `strongroom destruction`: all old records of a collection, erased for ever by several.
#include <iostream>
#include <memory>

#include "strongroom/app/approval_view.h"
#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/app/log_reader.h"

namespace strongroom::app {
namespace {

struct DestructionOptions {
  std::string collection;
  std::string before;
  std::string reason;
  uint64_t id = 0;
};

Result<void> request(const Global& global, const DestructionOptions& options) {
  const auto before = parse_time(options.before);
  if (!before) {
    return make_error(ErrorCode::kInvalidArgument,
                      "--before takes a day, 2026-01-31, or a time, 2026-01-31T12:00:00Z");
  }
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::RequestDestructionRequest asked;
  asked.set_collection(options.collection);
  asked.set_before_ms(*before);
  asked.set_reason(options.reason);
  SR_ASSIGN(const auto response,
            (admin->call<v1::RequestDestructionRequest, v1::RequestDestructionResponse>(
                "RequestDestruction", asked)));
  if (global.json) {
    std::cout << to_json(response) << "\n";
  } else {
    std::cout << format_count(response.records())
              << (response.records() == 1 ? " record" : " records")
              << " would be erased for ever.\n"
              << waits_for_approval(response.request(), "nothing is erased yet");
  }
  return {};
}

const char* destruction_state(const v1::DestructionView& view) {
  switch (view.state()) {
    case v1::DestructionView::RUNNING:
      return "running";
    case v1::DestructionView::CANCELLED:
      return "cancelled";
    case v1::DestructionView::DONE:
      return "done";
    default:
      return "scheduled";
  }
}

Result<void> list(const Global& global, const DestructionOptions&) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const auto response,
            (admin->call<v1::ListDestructionsRequest, v1::ListDestructionsResponse>(
                "ListDestructions", {})));
  if (global.json) {
    std::cout << to_json(response) << "\n";
    return {};
  }
  if (response.destructions().empty()) {
    std::cout << "No erasure of old records is scheduled, and none was lately.\n";
    return {};
  }
  std::vector<std::vector<std::string>> rows{
      {"id", "collection", "from before", "state", "due", "erased", "left", "held", "by"}};
  for (const v1::DestructionView& view : response.destructions()) {
    rows.push_back({std::to_string(view.id()), view.collection(), format_time(view.before_ms()),
                    destruction_state(view) +
                        (view.cancelled_by().empty() ? "" : " by " + view.cancelled_by()),
                    format_time(view.due_ms()), format_count(view.erased()),
                    format_count(view.left()), format_count(view.held()),
                    view.request() == 0
                        ? "retention"
                        : view.author() + ", request " + std::to_string(view.request())});
  }
  print_table(rows);
  return {};
}

Result<void> cancel(const Global& global, const DestructionOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::CancelDestructionRequest asked;
  asked.set_id(options.id);
  asked.set_reason(options.reason);
  SR_ASSIGN(const auto response,
            (admin->call<v1::CancelDestructionRequest, v1::CancelDestructionResponse>(
                "CancelDestruction", asked)));
  if (global.json) {
    std::cout << to_json(response) << "\n";
  } else {
    std::cout << "cancelled, logged as entry " << response.leaf()
              << "; what was erased before stays erased\n";
  }
  return {};
}

}  // namespace

void add_destruction(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<DestructionOptions>();
  const auto run = runner(global, status, options);
  auto* command =
      app.add_subcommand("destruction", "Erase all old records of a collection, by several")
          ->require_subcommand(1);
  command->footer(
      "Example:\n  strongroom destruction request parcel --before 2024-01-01 --reason 'R-7'");
  auto* request_command =
      command->add_subcommand("request", "Ask for it; takes several approvers, then a delay");
  request_command->add_option("COLLECTION", options->collection, "Such as parcel")->required();
  request_command
      ->add_option("--before", options->before,
                   "Records that came before this time, UTC, as far as whole blocks did")
      ->required();
  request_command->add_option("--reason", options->reason, "Why, for those who approve it");
  request_command->footer(
      "Records go by the block of 4,096, in the order they came, once the youngest is as old as\n"
      "that. Those under a legal hold stay. What a collection's retention_days says is scheduled\n"
      "like this by itself.\n"
      "Example:\n  strongroom destruction request parcel --before 2024-01-01 --reason 'R-7'");
  request_command->callback(run(request));
  auto* list_command = command->add_subcommand("list", "What is scheduled, under way, or ended");
  list_command->footer("Example:\n  strongroom destruction list");
  list_command->callback(run(list));
  auto* cancel_command = command->add_subcommand("cancel", "End one before it is done; by one");
  cancel_command->add_option("ID", options->id, "As `list` shows it")->required();
  cancel_command->add_option("--reason", options->reason, "Why, for the log");
  cancel_command->footer("Example:\n  strongroom destruction cancel 4711 --reason 'wrong year'");
  cancel_command->callback(run(cancel));
}

}  // namespace strongroom::app
