// `strongroom hold`: records that must not be erased for now.
#include <iostream>
#include <memory>

#include "strongroom/app/approval_view.h"
#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/gateway/request.h"

namespace strongroom::app {
namespace {

struct HoldOptions {
  std::string reference;
  std::string collection;
  std::vector<std::string> ids;
  std::string reason;
};

Result<void> place(const Global& global, const HoldOptions& options) {
  v1::PlaceHoldRequest request;
  for (const std::string& id : options.ids) {
    const auto idx = gateway::parse_record_id(id);
    if (!idx) {
      return make_error(ErrorCode::kInvalidArgument,
                        "a record id has ten hex digits, as find shows it; no hold was placed");
    }
    request.add_idx(idx->value);
  }
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  request.set_reference(options.reference);
  request.set_collection(options.collection);
  request.set_reason(options.reason);
  SR_ASSIGN(const auto response,
            (admin->call<v1::PlaceHoldRequest, v1::PlaceHoldResponse>("PlaceHold", request)));
  if (global.json) {
    std::cout << to_json(response) << "\n";
  } else if (response.added() == 0) {
    std::cout << "all of them were under " << options.reference << " already\n";
  } else {
    std::cout << format_count(response.added())
              << (response.added() == 1 ? " record is" : " records are") << " held under "
              << options.reference << ", logged as entry " << response.leaf() << "\n";
  }
  return {};
}

Result<void> lift(const Global& global, const HoldOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::LiftHoldRequest request;
  request.set_reference(options.reference);
  request.set_reason(options.reason);
  SR_ASSIGN(const auto response,
            (admin->call<v1::LiftHoldRequest, v1::LiftHoldResponse>("LiftHold", request)));
  std::cout << (global.json ? to_json(response) + "\n" : waits_for_approval(response.request()));
  return {};
}

Result<void> list(const Global& global, const HoldOptions&) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const auto response,
            (admin->call<v1::ListHoldsRequest, v1::ListHoldsResponse>("ListHolds", {})));
  if (global.json) {
    std::cout << to_json(response) << "\n";
    return {};
  }
  if (response.holds().empty()) {
    std::cout << "No record is under a hold.\n";
    return {};
  }
  std::vector<std::vector<std::string>> rows{{"reference", "records", "since", "by", "reason"}};
  for (const v1::HoldView& hold : response.holds()) {
    rows.push_back({printable(hold.reference()), format_count(hold.records()),
                    format_time(hold.t_ms()), hold.author(), printable(hold.reason())});
  }
  print_table(rows);
  return {};
}

}  // namespace

void add_hold(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<HoldOptions>();
  const auto run = runner(global, status, options);
  auto* command = app.add_subcommand("hold", "Legal holds: records that must not be erased for now")
                      ->require_subcommand(1);
  command->footer("Example:\n  strongroom hold place C-2026-4 person 0000000abc --reason 'court'");
  auto* place_command = command->add_subcommand("place", "Hold records; at once, by one");
  place_command->add_option("REFERENCE", options->reference, "By which the hold is known")
      ->required();
  place_command->add_option("COLLECTION", options->collection, "Such as person")->required();
  place_command->add_option("ID", options->ids, "Ten hex digits, as find shows them; at most 1000")
      ->required();
  place_command->add_option("--reason", options->reason, "Why, for the log; at most 200 bytes");
  place_command->footer(
      "Until it is lifted nobody can erase them, nor replace them by `update --forget-old`.\n"
      "Example:\n  strongroom hold place C-2026-4 person 0000000abc --reason 'district court'");
  place_command->callback(run(place));
  auto* lift_command = command->add_subcommand("lift", "End a hold; takes several approvers");
  lift_command->add_option("REFERENCE", options->reference, "By which it was placed")->required();
  lift_command->add_option("--reason", options->reason, "Why, for those who approve it");
  lift_command->footer("Example:\n  strongroom hold lift C-2026-4 --reason 'case closed'");
  lift_command->callback(run(lift));
  auto* list_command = command->add_subcommand("list", "Which holds there are");
  list_command->footer("Example:\n  strongroom hold list");
  list_command->callback(run(list));
}

}  // namespace strongroom::app
