// `strongroom root`: a new root key, and shares of it.
#include <string.h>

#include <iostream>
#include <memory>

#include "strongroom/app/approval_view.h"
#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/app/hidden_input.h"

namespace strongroom::app {
namespace {

struct RootOptions {
  std::vector<std::string> holders;
  uint32_t threshold = 0;
  bool key_file = false;
  std::string reason;
};

void wipe(std::string& text) {
  explicit_bzero(text.data(), text.size());
}

Result<void> change(const Global& global, const RootOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::ChangeRootRequest request;
  v1::RootChange& asked = *request.mutable_change();
  for (const std::string& holder : options.holders) asked.add_holders(holder);
  asked.set_threshold(options.threshold);
  asked.set_key_file(options.key_file);
  request.set_reason(options.reason);
  SR_ASSIGN(const auto response,
            (admin->call<v1::ChangeRootRequest, v1::ChangeRootResponse>("ChangeRoot", request)));
  std::cout << (global.json ? to_json(response) + "\n" : waits_for_approval(response.request()));
  return {};
}

Result<void> take(const Global& global, const RootOptions&) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(auto response,
            (admin->call<v1::TakeShareRequest, v1::TakeShareResponse>("TakeShare", {})));
  if (global.json) {
    std::string json = to_json(response);
    std::cout << json << "\n" << std::flush;
    wipe(json);
  } else {
    std::cout
        << "Share " << response.number() << "; any " << response.threshold()
        << " of the new shares will open the vault. It is shown once and kept nowhere: write "
           "it down on paper, now.\n\n  "
        << response.share()
        << "\n\nThen give it back with `strongroom root confirm`. Until every holder has, the "
           "shares in use stay good.\n"
        << std::flush;
  }
  wipe(*response.mutable_share());
  return {};
}

Result<void> confirm(const Global& global, const RootOptions&) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::ConfirmShareRequest request;
  *request.mutable_share() = read_hidden("Your new share, from the paper: ");
  const auto response =
      admin->call<v1::ConfirmShareRequest, v1::ConfirmShareResponse>("ConfirmShare", request);
  wipe(*request.mutable_share());
  if (!response) return response.error();
  if (global.json) {
    std::cout << to_json(*response) << "\n";
  } else {
    std::cout
        << "Right: " << response->confirmed() << " of " << response->shares()
        << " holders have given theirs, logged as entry " << response->leaf() << ".\n"
        << (response->changed()
                ? "The root key is changed: from now on the new shares open the vault, and no "
                  "others. Destroy the old ones,\nand copies of the key server's disk from "
                  "before: what is on those, the old shares still open.\n"
                : "");
  }
  return {};
}

}  // namespace

void add_root(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<RootOptions>();
  auto* root = app.add_subcommand("root", "Change the root key, and who holds shares of it");
  root->require_subcommand(1);
  root->footer(
      "Example:\n  strongroom root change --holder alice --holder bob --threshold 1; and, once it "
      "is "
      "approved, each holder:\n  strongroom root take; strongroom root confirm");
  const auto run = runner(global, status, options);
  auto* change_command = root->add_subcommand(
      "change", "Ask for a new root key: when a share is lost, a holder leaves, or just in time");
  auto* holders = change_command->add_option(
      "--holder", options->holders, "Who takes a share: a principal; once for each, 1 to 255");
  auto* threshold =
      change_command
          ->add_option("--threshold", options->threshold, "How many of them open the vault")
          ->check(CLI::Range(1, 255));
  change_command
      ->add_flag("--insecure-key-file", options->key_file,
                 "INSECURE: no shares; the root key goes into a file beside the data, and whoever "
                 "copies that folder reads every record")
      ->excludes(holders)
      ->excludes(threshold);
  change_command->add_option("--reason", options->reason, "Why, for those who approve it");
  change_command->footer(
      "Takes several approvers. Then each holder runs `root take` and `root confirm`, while the "
      "vault goes on\nserving. Example:\n  strongroom root change --holder alice --holder bob "
      "--holder carol --threshold 2 --reason 'dave has left'");
  change_command->callback([&status, options, run] {
    if (!options->key_file && (options->holders.empty() || options->threshold == 0)) {
      status = usage("--holder and --threshold say who takes shares, and how many open the vault");
      return;
    }
    run(change)();
  });
  auto* take_command = root->add_subcommand("take", "Your share of the new root key, shown once");
  take_command->footer("Example:\n  strongroom root take --credential alice.json");
  take_command->callback(run(take));
  auto* confirm_command =
      root->add_subcommand("confirm", "Give your new share back, as a proof that you have kept it");
  confirm_command->footer(
      "The share is read from the terminal or standard input, never from the command line. With "
      "the last holder's\nthe root key changes. Example:\n  strongroom root confirm --credential "
      "alice.json");
  confirm_command->callback(run(confirm));
}

}  // namespace strongroom::app
