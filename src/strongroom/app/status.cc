#include <algorithm>
#include <iostream>
#include <memory>

#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"

namespace strongroom::app {
namespace {

// All that a sealed key server says. Whatever else an unsigned reply holds is not its.
v1::StatusResponse sealed_part(const v1::StatusResponse& status) {
  v1::StatusResponse out;
  out.set_version(status.version());
  out.set_name(status.name());
  out.set_sealed(true);
  out.set_shares_given(status.shares_given());
  out.set_shares_needed(status.shares_needed());
  if (status.has_last_seal()) {
    out.mutable_last_seal()->set_author(status.last_seal().author());
    out.mutable_last_seal()->set_t_ms(status.last_seal().t_ms());
  }
  return out;
}

// How far the promise of erasure has come: docs/spec/erasure.md.
std::string erased_text(const v1::StatusResponse& status) {
  std::string next;
  if (status.destructions_pending() != 0) {
    next = "; " + format_count(status.destructions_pending()) +
           (status.destructions_pending() == 1 ? " erasure" : " erasures") +
           " of old records scheduled: `destruction list`";
  }
  if (status.erased() == 0) return "nothing yet" + next;
  std::string out =
      format_count(status.erased()) + " records, the last " + format_time(status.erased_last_ms());
  out += status.erased_pending() == 0
             ? "; none can be opened by any key server file from now on"
             : "; " + format_count(status.erased_pending()) + " of them within the horizon by " +
                   format_time(status.epoch_due_ms());
  if (status.lanes_naming() != 0) {
    out += "; until they are merged, " + format_count(status.lanes_naming()) +
           (status.lanes_naming() == 1 ? " lane" : " lanes") + " may name them";
  }
  return out + next;
}

std::string root_text(const v1::RootView& root) {
  std::string out = root.shares() == 0 ? "in a file"
                                       : "any " + std::to_string(root.threshold()) + " of " +
                                             std::to_string(root.shares()) + " shares";
  if (root.tpm()) out += root.tpm_epochs() ? ", or the TPM; bound to it" : ", or the TPM";
  for (int i = 0; i < root.holders_size(); ++i) {
    out += (i == 0 ? ": " : ", ") + printable(root.holders(i));
  }
  return out + (root.since_ms() == 0 ? "" : "; since " + format_time(root.since_ms()));
}

// Who has still to do what.
std::string change_text(const v1::RootView::Change& change) {
  std::string out = std::to_string(change.taken_size()) + " of " +
                    std::to_string(change.change().holders_size()) + " shares taken, " +
                    std::to_string(change.confirmed_size()) + " given back; missing";
  const char* before = ": ";
  for (const std::string& holder : change.change().holders()) {
    const auto& confirmed = change.confirmed();
    if (std::find(confirmed.begin(), confirmed.end(), holder) != confirmed.end()) continue;
    out += before + printable(holder);
    before = ", ";
  }
  return out;
}

std::string log_text(const v1::StatusResponse& status) {
  std::string out = format_count(status.log_size()) + " entries, checkpoint at " +
                    format_count(status.checkpoint_size());
  if (status.log_key_changing_ms() != 0) {
    out += "; signed with two keys since " + format_time(status.log_key_changing_ms()) +
           ", `log key finish` ends the older";
  }
  if (status.counters_leaf() != 0) {
    out += "; a start reads from " + format_count(status.counters_leaf());
  }
  if (status.log_checked() < status.counters_leaf()) {
    out += "; those before are being read again, so far " + format_count(status.log_checked());
  }
  return out;
}

// When the last point of restore is, and what copies of the keys make of the horizon.
std::string backup_text(const v1::StatusResponse& status) {
  std::string out =
      status.backup_ms() == 0 ? std::string("never") : "as of " + format_time(status.backup_ms());
  const int copies = status.key_backups_size();
  if (copies == 0) return out;
  out += "; " + format_count(static_cast<uint64_t>(copies)) +
         (copies == 1 ? " copy of the keys" : " copies of the keys");
  // The oldest opens the most.
  const uint64_t erased = status.key_backups(0).erased_since();
  if (erased == 0) return out + ", with nothing that was erased";
  return out + "; with the shares the oldest opens " + format_count(erased) +
         (erased == 1 ? " erased record" : " erased records") +
         ", until replaced by `backup` or destroyed";
}

Result<void> show_status(const Global& global) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  bool verified = true;
  SR_ASSIGN(auto status,
            (admin->call<v1::StatusRequest, v1::StatusResponse>(
                "Status", {}, [&verified](const auto& reply) -> std::optional<Result<void>> {
                  if (!AdminClient::says_sealed<v1::StatusResponse>(reply)) return std::nullopt;
                  verified = false;
                  return Result<void>();
                })));
  if (!verified) status = sealed_part(status);
  if (global.json) {
    std::cout << "{\"verified\":" << (verified ? "true," : "false,") << to_json(status).substr(1)
              << "\n";
    return {};
  }
  std::cout << printable(status.name()) << " - strongroom " << printable(status.version()) << "\n";
  if (status.sealed()) {
    std::cout << "SEALED: " << status.shares_given() << " of " << status.shares_needed()
              << " shares given\n";
    if (status.last_seal().t_ms() != 0) {
      std::cout << "sealed on command by " << printable(status.last_seal().author()) << " at "
                << format_time(status.last_seal().t_ms()) << "\n";
    }
    if (!verified) std::cerr << kNotVerified << "\n";
    return {};
  }
  print_table(
      {{"log", log_text(status)},
       {"policy", "version " + std::to_string(status.policy_version()) + ", " +
                      std::to_string(status.principals()) + " principals"},
       {"collections", std::to_string(status.collections())},
       {"blocks", format_count(status.blocks()) + " of 4,096 records"},
       {"lanes",
        format_count(status.lanes_live()) + " live, " + format_count(status.lanes_open()) +
            " of them open; " + format_count(status.lanes_merged()) + " merged so far" +
            (status.lanes_merging() == 0 ? std::string()
                                         : ", merging " + format_count(status.lanes_merging()))},
       {"root key", root_text(status.root())},
       {"key epoch",
        format_count(status.epoch()) + ", since " + format_time(status.epoch_began_ms())},
       {"erased", erased_text(status)},
       {"backup", backup_text(status)},
       {"key server", format_count(status.resident_bytes() >> 20) + " MiB resident, since " +
                          format_time(status.started_ms())},
       {"sandbox", std::string(status.seccomp() ? "seccomp" : "NO seccomp") +
                       (status.landlock() ? ", Landlock" : ", NO Landlock") +
                       (status.memory_locked() ? ", memory locked" : ", memory not locked")}});
  if (status.root().has_change()) {
    std::cout << "! NEW ROOT KEY, entry " << status.root().change().leaf() << ": "
              << change_text(status.root().change()) << "\n";
  }
  for (const auto& backup : status.key_backups()) {
    std::cout << "  keys of backup " << backup.id() << ", " << format_time(backup.t_ms())
              << (backup.taken() ? "" : ", not whole") << ": "
              << format_count(backup.erased_since()) << " erased since\n";
  }
  if (status.restored_ms() != 0) {
    std::cout << "! RESTORED at " << format_time(status.restored_ms()) << " as of "
              << format_time(status.restored_from_ms())
              << (status.log_end_lost()
                      ? ": erasures, freezes and changes of policy in between are lost\n"
                      : "; the log is whole\n");
  }
  for (const auto& frozen : status.frozen()) {
    std::cout << "! FROZEN " << frozen.scope() << (frozen.to_masked() ? " to the masked view" : "")
              << " by " << frozen.author() << " at " << format_time(frozen.t_ms()) << ", entry "
              << frozen.leaf() << (frozen.reason().empty() ? "" : ": " + printable(frozen.reason()))
              << "\n";
  }
  if (status.last_seal().t_ms() != 0) {
    std::cout << "  sealed on command last by " << printable(status.last_seal().author()) << " at "
              << format_time(status.last_seal().t_ms()) << ", entry " << status.last_seal().leaf()
              << (status.last_seal().reason().empty()
                      ? ""
                      : ": " + printable(status.last_seal().reason()))
              << "\n";
  }
  for (const auto& witness : status.witnesses()) {
    std::cout << "  witness " << printable(witness.name()) << ": "
              << (witness.size() == 0 ? std::string("nothing cosigned since the start")
                                      : format_count(witness.size()) + " entries cosigned")
              << "\n";
  }
  for (const auto& warning : status.warnings()) std::cout << "! " << warning << "\n";
  return {};
}

}  // namespace

void add_status(CLI::App& app, Global& global, int& status) {
  auto* command = app.add_subcommand(
      "status", "How the vault is: sealed or open, log, policy, sandbox, warnings");
  command->footer(
      "Example:\n  strongroom status --credential vault/credentials/officer.json --json");
  command->callback([&global, &status] {
    if (const auto done = show_status(global); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
