#include <iostream>
#include <memory>

#include "strongroom/app/approval_view.h"
#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/app/yaml_file.h"

namespace strongroom::app {
namespace {

Result<void> apply(const Global& global, const v1::Policy& policy, bool dry_run,
                   const std::string& reason) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::ApplyPolicyRequest request;
  *request.mutable_policy() = policy;
  request.set_dry_run(dry_run);
  request.set_reason(reason);
  SR_ASSIGN(const auto response,
            (admin->call<v1::ApplyPolicyRequest, v1::ApplyPolicyResponse>("ApplyPolicy", request)));
  if (global.json) {
    std::cout << to_json(response) << "\n";
    return {};
  }
  for (const auto& change : response.changes()) std::cout << change << "\n";
  if (!response.affected().empty()) {
    std::cout << "for";
    for (const auto& name : response.affected()) std::cout << " " << name;
    std::cout << "\n";
  }
  if (!response.changed()) {
    std::cout << "nothing to change: this is version " << response.version() << "\n";
  } else if (dry_run) {
    std::cout << "dry run: nothing was changed; this would become version " << response.version()
              << (response.widens() ? ", once several have signed it: it widens access" : "")
              << "\n";
  } else if (response.request() != 0) {
    std::cout << waits_for_approval(response.request());
  } else {
    std::cout << "policy version " << response.version() << ", logged as entry " << response.leaf()
              << "\n";
  }
  return {};
}

Result<void> show(const Global& global) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const auto response,
            (admin->call<v1::ShowPolicyRequest, v1::ShowPolicyResponse>("ShowPolicy", {})));
  std::cout << (global.json ? to_json(response.policy()) + "\n" : rpc::to_yaml(response.policy()));
  return {};
}

}  // namespace

void add_policy(CLI::App& app, Global& global, int& status) {
  auto* command = app.add_subcommand("policy", "Who may see what, why, and how much");
  command->require_subcommand(1);
  command->footer("Example:\n  strongroom policy show > policy.yaml");
  auto file = std::make_shared<std::string>();
  auto dry_run = std::make_shared<bool>(false);
  auto* apply_command =
      command->add_subcommand("apply", "Replace the policy; what changes is printed and logged");
  apply_command->add_option("FILE", *file, "YAML; examples/policies has some")->required();
  apply_command->add_flag("--dry-run", *dry_run, "Print what would change, change nothing");
  auto reason = std::make_shared<std::string>();
  apply_command->add_option("--reason", *reason, "Why, for those who approve it");
  apply_command->footer(
      "Example:\n  strongroom policy apply policy.yaml --dry-run --credential officer.json");
  apply_command->callback([&global, &status, file, dry_run, reason] {
    v1::Policy policy;
    status = read_yaml_file(global, *file, policy);
    if (status != kDone) return;
    if (const auto done = apply(global, policy, *dry_run, *reason); !done)
      status = fail(global, done.error(), *file);
  });
  add_policy_test(*command, global, status);
  add_policy_review(*command, global, status);
  auto* show_command = command->add_subcommand("show", "The policy in force, as YAML");
  show_command->footer(
      "Example:\n  strongroom policy show --credential officer.json > policy.yaml");
  show_command->callback([&global, &status] {
    if (const auto done = show(global); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
