#include <iostream>
#include <memory>

#include "strongroom/app/approval_view.h"
#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"

namespace strongroom::app {
namespace {

constexpr char kScopes[] =
    "principal:NAME, role:NAME, purpose:NAME, collection:NAME, gateway:NAME or all";

struct FreezeOptions {
  std::string scope;
  std::string reason;
  bool to_masked = false;
};

Result<void> freeze(const Global& global, const FreezeOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::FreezeRequest request;
  request.set_scope(options.scope);
  request.set_reason(options.reason);
  request.set_to_masked(options.to_masked);
  SR_ASSIGN(const auto response,
            (admin->call<v1::FreezeRequest, v1::FreezeResponse>("Freeze", request)));
  if (global.json) {
    std::cout << to_json(response) << "\n";
  } else if (!response.changed()) {
    std::cout << options.scope << " was frozen already, by entry " << response.leaf() << "\n";
  } else {
    std::cout << options.scope
              << (options.to_masked ? " is frozen to the masked view" : " is frozen")
              << ", logged as entry " << response.leaf() << "\n";
  }
  return {};
}

Result<void> thaw(const Global& global, const FreezeOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::ThawRequest request;
  request.set_scope(options.scope);
  request.set_reason(options.reason);
  SR_ASSIGN(const auto response, (admin->call<v1::ThawRequest, v1::ThawResponse>("Thaw", request)));
  if (global.json) {
    std::cout << to_json(response) << "\n";
  } else if (response.request() != 0) {
    std::cout << waits_for_approval(response.request());
  } else {
    std::cout << options.scope << " is not frozen\n";
  }
  return {};
}

}  // namespace

void add_freeze(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<FreezeOptions>();
  const auto run = runner(global, status, options);
  auto* freeze_command =
      app.add_subcommand("freeze", "Cut somebody or something off: nothing leaves any more");
  freeze_command->add_option("SCOPE", options->scope, kScopes)->required();
  freeze_command->add_option("--reason", options->reason, "Why, for the log; at most 200 bytes");
  freeze_command->add_flag("--to-masked", options->to_masked, "Let the masked view leave");
  freeze_command->footer(
      "It holds at once, for calls under way too, and is on disk when this returns. `status` lists "
      "what is\nfrozen. Examples:\n  strongroom freeze principal:alice --reason 'key stolen'\n  "
      "strongroom freeze all");
  freeze_command->callback(run(freeze));
  auto* thaw_command = app.add_subcommand("thaw", "Undo a freeze; takes several approvers");
  thaw_command->add_option("SCOPE", options->scope, kScopes)->required();
  thaw_command->add_option("--reason", options->reason, "Why, for those who approve it");
  thaw_command->footer("Example:\n  strongroom thaw principal:alice --reason 'has a new key'");
  thaw_command->callback(run(thaw));
}

}  // namespace strongroom::app
