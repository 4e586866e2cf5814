// `strongroom log key`: what the log is signed with, and a change of that.
#include <iostream>
#include <memory>

#include "strongroom/app/approval_view.h"
#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/app/log_proofs.h"
#include "strongroom/env/files.h"
#include "strongroom/tlog/checkpoint.h"

namespace strongroom::app {
namespace {

struct LogKeyOptions {
  std::string output;
  std::string reason;
  bool pin = false;
};

std::string show_json(const v1::LogKeysResponse& response, const tlog::LogKeys& keys) {
  std::string out = "{\"verifier_key\":" + json_string(keys.newest_key().text()) + ",\"keys\":[";
  for (size_t i = 0; i < keys.keys().size(); ++i) {
    out += (i == 0 ? "{\"key\":" : ",{\"key\":") +
           json_string(tlog::verifier_key(keys.origin(), keys.keys()[i]));
    if (i < keys.until().size()) out += ",\"until\":" + std::to_string(keys.until()[i]);
    out += "}";
  }
  out += std::string("],\"changing\":") + (response.changing() ? "true" : "false") +
         ",\"since_ms\":" + std::to_string(response.since_ms()) + ",\"following\":[";
  for (int i = 0; i < response.following_size(); ++i) {
    out += (i == 0 ? "" : ",") + json_string(response.following(i));
  }
  return out + "],\"changes\":" + json_string(response.changes()) + "}\n";
}

void print(const v1::LogKeysResponse& response, const tlog::LogKeys& keys) {
  std::vector<std::vector<std::string>> rows{{"checkpoints", "signed with"}};
  for (size_t i = 0; i < keys.keys().size(); ++i) {
    const bool last = i == keys.until().size();
    rows.push_back({last ? "newest" : "up to " + format_count(keys.until()[i]) + " entries",
                    tlog::verifier_key(keys.origin(), keys.keys()[i])});
  }
  print_table(rows);
  if (!response.changing()) return;
  std::cout << "\nSince " << format_time(response.since_ms())
            << " the last two sign, until `log key finish` ends the older.\n";
  if (response.following().empty()) return;
  std::cout << "Witnesses that take the newest:";
  for (const std::string& name : response.following()) std::cout << " " << printable(name);
  std::cout << "\n";
}

Result<void> show(const Global& global, const LogKeyOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::LogKeysResponse response;
  SR_ASSIGN(const tlog::LogKeys keys, admin->log_keys(&response));
  if (!options.output.empty()) {
    SR_TRY(env::real_files().write_atomic(options.output, as_bytes(response.changes()), 0644));
  }
  if (options.pin) SR_TRY(pin_log_key(global.credential, keys.newest()));
  if (global.json) {
    std::cout << show_json(response, keys);
  } else {
    print(response, keys);
  }
  return {};
}

Result<void> change(const Global& global, const LogKeyOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::ChangeLogKeyRequest asked;
  asked.set_reason(options.reason);
  SR_ASSIGN(const auto response, (admin->call<v1::ChangeLogKeyRequest, v1::ChangeLogKeyResponse>(
                                     "ChangeLogKey", asked)));
  std::cout << (global.json ? to_json(response) + "\n" : waits_for_approval(response.request()));
  return {};
}

Result<void> finish(const Global& global, const LogKeyOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::FinishLogKeyRequest asked;
  asked.set_reason(options.reason);
  SR_ASSIGN(const auto response, (admin->call<v1::FinishLogKeyRequest, v1::FinishLogKeyResponse>(
                                     "FinishLogKey", asked)));
  if (global.json) {
    std::cout << to_json(response) << "\n";
  } else {
    std::cout << "The old key is destroyed, logged as entry " << response.leaf()
              << ". Make a new `backup`: with the older ones the log cannot go on.\n";
  }
  return {};
}

}  // namespace

void add_log_key(CLI::App& log, Global& global, int& status) {
  auto options = std::make_shared<LogKeyOptions>();
  const auto run = runner(global, status, options);
  auto* command = log.add_subcommand("key", "What the log is signed with, and a change of that")
                      ->require_subcommand(1);
  command->footer("Example:\n  strongroom log key show");
  auto* show_command = command->add_subcommand("show", "The keys, first to newest");
  show_command->add_option("-o,--output", options->output,
                           "The changes, for witnesses and for those who check offline");
  show_command->add_flag("--pin", options->pin,
                         "From now on your credential file trusts the newest alone");
  show_command->footer(
      "Who was given any of the keys comes to the others by the changes, which both keys signed.\n"
      "Example:\n  strongroom log key show -o key-changes");
  show_command->callback(run(show));
  auto* change_command = command->add_subcommand(
      "change", "A fresh key beside the one there is; takes several approvers");
  change_command->add_option("--reason", options->reason, "Why, for those who approve it");
  change_command->footer(
      "Then: have witnesses started with `--key-changes FILE`, tell the newest verifier key to\n"
      "those who check with other tools, and end the old one with `log key finish`.\n"
      "Example:\n  strongroom log key change --reason 'yearly'");
  change_command->callback(run(change));
  auto* finish_command =
      command->add_subcommand("finish", "End the old key: it is destroyed, and signs no more");
  finish_command->add_option("--reason", options->reason, "Why, for the log");
  finish_command->footer(
      "Refused while too few of the policy's witnesses take the newest key.\n"
      "Example:\n  strongroom log key finish");
  finish_command->callback(run(finish));
}

}  // namespace strongroom::app
