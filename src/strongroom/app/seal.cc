#include <iostream>
#include <memory>

#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"

namespace strongroom::app {
namespace {

Result<void> seal(const Global& global, const std::string& reason) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::SealRequest request;
  request.set_reason(reason);
  SR_ASSIGN(const auto response, (admin->call<v1::SealRequest, v1::SealResponse>("Seal", request)));
  if (global.json) {
    std::cout << to_json(response) << "\n";
  } else {
    std::cout << "The vault is sealed, logged as entry " << response.leaf()
              << ". It opens again when enough share holders have run `strongroom unseal`.\n";
  }
  return {};
}

}  // namespace

void add_seal(CLI::App& app, Global& global, int& status) {
  auto reason = std::make_shared<std::string>();
  auto* command = app.add_subcommand(
      "seal", "Close the vault: nothing leaves until share holders open it again");
  command->add_option("--reason", *reason, "Why, for the log; at most 200 bytes");
  command->footer(
      "For whoever may freeze; one is enough. Logged first; then every process of the vault ends, "
      "with the keys\nin its memory, and starts again without. Example:\n  strongroom seal "
      "--reason "
      "'break-in at the data centre'");
  command->callback([&global, &status, reason] {
    if (const auto done = seal(global, *reason); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
