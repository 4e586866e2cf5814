#include <iostream>

#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"

namespace strongroom::app {
namespace {

std::string uses_text(const v1::UseLine& use) {
  return use.purpose() + (use.case_reference().empty() ? "" : " " + use.case_reference());
}

Result<void> show_me(const Global& global) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const auto me, (admin->call<v1::MeRequest, v1::MeResponse>("Me", {})));
  if (global.json) {
    std::cout << to_json(me) << "\n";
    return {};
  }
  std::cout << me.principal().name() << ", " << me.principal().role() << "\n";
  for (const auto& frozen : me.frozen()) {
    std::cout << "! FROZEN " << frozen.scope() << (frozen.to_masked() ? " to the masked view" : "")
              << " at " << format_time(frozen.t_ms()) << "\n";
  }
  if (!me.contact().empty()) std::cout << "ask: " << printable(me.contact()) << "\n";
  if (!me.budgets().empty()) {
    std::vector<std::vector<std::string>> rows{{"BUDGET", "COLLECTION", "OF", "IN A", "USED"}};
    for (const auto& line : me.budgets()) {
      rows.push_back({line.scope() == "principal" ? "all purposes" : line.purpose(),
                      line.collection().empty() ? "all" : line.collection(), line.quantity(),
                      line.window(),
                      format_count(line.used()) + " of " + format_count(line.most())});
    }
    print_table(rows);
  }
  if (!me.uses().empty()) {
    std::vector<std::vector<std::string>> rows{{"LAST", "ENTRY", "TYPE", "COLLECTION", "N", "FOR"}};
    for (const auto& use : me.uses()) {
      rows.push_back({format_time(use.t_ms()), format_count(use.leaf()), use.type(),
                      use.collection(), format_count(use.amount()), uses_text(use)});
    }
    print_table(rows);
  }
  return {};
}

struct ReviewOptions {
  std::vector<uint64_t> leaves;
  std::string finding;
  bool accept = false;
};

Result<void> review(const Global& global, const ReviewOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  if (options.accept) {
    v1::ReviewEmergenciesRequest request;
    request.mutable_leaves()->Add(options.leaves.begin(), options.leaves.end());
    request.set_finding(options.finding);
    SR_ASSIGN(const auto response,
              (admin->call<v1::ReviewEmergenciesRequest, v1::ReviewEmergenciesResponse>(
                  "ReviewEmergencies", request)));
    std::cout << (global.json ? to_json(response)
                  : response.reviewed() == 0
                      ? std::string("there was nothing to review")
                      : format_count(response.reviewed()) + " reviewed, logged as entry " +
                            std::to_string(response.leaf()))
              << "\n";
    return {};
  }
  SR_ASSIGN(const auto listed,
            (admin->call<v1::ListEmergenciesRequest, v1::ListEmergenciesResponse>("ListEmergencies",
                                                                                  {})));
  if (global.json) {
    std::cout << to_json(listed) << "\n";
    return {};
  }
  if (listed.uses().empty()) {
    std::cout << "no emergency use waits for a review\n";
    return {};
  }
  std::vector<std::vector<std::string>> rows{
      {"ENTRY", "AT", "WHO", "TYPE", "COLLECTION", "N", "FOR"}};
  for (const auto& use : listed.uses()) {
    rows.push_back({std::to_string(use.use().leaf()), format_time(use.use().t_ms()),
                    use.principal(), use.use().type(), use.use().collection(),
                    format_count(use.use().amount()), uses_text(use.use())});
  }
  print_table(rows);
  return {};
}

}  // namespace

void add_me(CLI::App& app, Global& global, int& status) {
  auto* command = app.add_subcommand("me", "Your own role, budgets and last calls");
  command->footer("Example:\n  strongroom me --credential clerk.json");
  command->callback([&global, &status] {
    if (const auto done = show_me(global); !done) status = fail(global, done.error());
  });
  auto options = std::make_shared<ReviewOptions>();
  auto* review_command =
      app.add_subcommand("review", "Emergency uses that nobody has looked at; and sign them off");
  review_command->add_option("ENTRY", options->leaves, "With --accept: only these");
  review_command->add_flag("--accept", options->accept, "You have looked at them");
  review_command->add_option("--finding", options->finding, "What you found, for the log");
  review_command->footer(
      "Examples:\n  strongroom review --credential auditor.json\n  strongroom review --accept 311 "
      "312 --finding 'ward 4, confirmed'");
  review_command->callback([&global, &status, options] {
    if (const auto done = review(global, *options); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
