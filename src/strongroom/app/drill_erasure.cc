// `strongroom drill erasure`: what a thief opens of an erased record with an old copy of the store
// and each copy of the key server's disk, with and without the shares; and where the key state is
// bound to a TPM, here one in software, what of that is left.
#include "strongroom/app/drill_erasure.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>

#include "strongroom/app/drill_vault.h"
#include "strongroom/app/import.h"
#include "strongroom/app/tpm_hardware.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/crypto/derive.h"
#include "strongroom/crypto/random.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/gateway/request.h"
#include "strongroom/keyserver/state.h"
#include "strongroom/keyserver/unseal.h"
#include "strongroom/record/record.h"
#include "strongroom/store/store.h"
#include "strongroom/tlog/release_log.h"
#include "strongroom/tpm/swtpm.h"

namespace strongroom::app {
namespace {

namespace fs = std::filesystem;
using keyserver::EpochSecret;

constexpr CollectionId kPeople{1};
constexpr int kPeopleCount = 40;
constexpr size_t kVictim = 7, kOther = 8;  // By row of the file.

Error no_copy() {
  return make_error(ErrorCode::kUnavailable,
                    "the drill's folder cannot be written to: is the disk full?");
}

std::string phone_of(size_t row) {
  return "138" + std::to_string(10'000'000 + row);
}

Result<void> copy(const std::string& from, const std::string& to) {
  std::error_code failed;
  fs::remove_all(to, failed);
  fs::copy(from, to, fs::copy_options::recursive, failed);
  return failed ? Result<void>(no_copy()) : Result<void>();
}

// The thief's. It runs the program's own code on what it has, and leaves out what would stop it:
// the journal of a state file, which says what was erased since its base; the log; the policy.
class Thief {
 public:
  static Result<std::unique_ptr<Thief>> make(const std::string& folder,
                                             const std::string& stolen_store) {
    std::unique_ptr<Thief> thief(new Thief);
    SR_ASSIGN(thief->store_, store::open_rocks_store(stolen_store, {}));
    // Keys are derived under a leaf: a log of one's own makes those, too.
    auto& files = env::real_files();
    SR_ASSIGN(auto keys, keyserver::KeyState::create({folder + "/state", folder + "/mirror"}, files,
                                                     crypto::random_secret<SealingKey>()));
    SR_TRY(files.make_dirs(folder + "/log"));
    tlog::LogOptions options;
    options.dir = folder + "/log";
    options.origin = "strongroom.local/thief";
    SR_ASSIGN(auto log, tlog::ReleaseLog::open(options, files, *keys, keys->log_signers(),
                                               [](const tlog::Entry&) { return Result<void>(); }));
    const std::string item = "mine";
    SR_TRY(log->stage(tlog::EntryType::kStart, {&item, 1}, env::real_clock().wall_ms()));
    SR_ASSIGN(const auto leaves, log->commit());
    thief->leaf_.emplace(leaves.front());
    return thief;
  }

  // Whether any state file of the image gives a key that opens the stolen row; where they are bound
  // to a TPM, with one of these secrets.
  Result<bool> opens(const std::string& image, const SealingKey& root, RecordIndex idx,
                     std::span<const EpochSecret> secrets = {}) const {
    std::vector<SealingKey> wraps;
    wraps.push_back(crypto::derive_sealing_key(root.read(SecretAccess{}), "sr1.state"));
    for (const EpochSecret& secret : secrets) {
      wraps.push_back(keyserver::bind_wrap(wraps.front(), secret));
    }
    auto& files = env::real_files();
    for (const char* place : {"/keyserver/state", "/keyserver-mirror/state"}) {
      SR_ASSIGN(const auto names, files.list(image + place));
      for (const std::string& name : names) {
        uint64_t epoch = 0;
        if (!keyserver::parse_state_file_name(name, &epoch)) continue;
        SR_ASSIGN(const std::string bytes,
                  files.read(image + place + "/" + name, keyserver::kStateBytesMax));
        for (const SealingKey& wrap : wraps) {
          const auto file = keyserver::read_state_file(as_bytes(bytes), epoch, wrap);
          for (size_t frames = 1; file && frames <= file->frames.size(); ++frames) {
            if (opens_with(*file, frames, idx)) return true;
          }
        }
      }
    }
    return false;
  }

 private:
  Thief() = default;

  bool opens_with(const keyserver::StateFile& file, size_t frames, RecordIndex idx) const {
    keyserver::StateContents contents;
    for (size_t i = 0; i < frames; ++i) {
      if (!keyserver::read_records(file.frames[i].read(SecretAccess{}), contents)) return false;
    }
    std::vector<std::optional<std::string>> rows;
    const auto read = store_->get(store::Table::kRecords,
                                  std::vector<std::string>{record::row_key(kPeople, idx)}, rows);
    const auto row = read && rows[0] ? record::parse_row(as_bytes(*rows[0]))
                                     : Result<record::RowHeader>(no_copy());
    if (!row || row->groups.empty()) return false;
    std::vector<RecordKey> keys;
    const GroupId group = row->groups.front().group;
    return contents.tree.record_keys(*leaf_, {idx, row->u}, {&group, 1}, keys) &&
           record::open_group(kPeople, idx, *row, group, keys[0]);
  }

  std::unique_ptr<store::Store> store_;
  std::optional<DurableLeaf> leaf_;
};

// Of the key server's disk, in order of time.
constexpr std::pair<const char*, const char*> kImages[] = {
    {"before", "key server disk from before"},
    {"same-epoch", "key server disk, same epoch"},
    {"horizon", "key server disk, next epoch"}};

struct Attempt {
  std::string with;
  bool shares;
  bool opened;
  bool promised;  // That it must not.
};

struct ErasureOutcome {
  std::vector<Attempt> attempts;
  bool control = false;  // A record that was not erased opens, by the same thief.
  bool bound = false;    // Tried with a vault bound to a TPM, too.
  bool pass() const {
    return control && std::none_of(attempts.begin(), attempts.end(), [](const Attempt& attempt) {
             return attempt.promised && attempt.opened;
           });
  }
};

class Drill {
 public:
  explicit Drill(std::string folder) : folder_(std::move(folder)), vault_(folder_ + "/vault") {}
  Result<ErasureOutcome> run();
  // The same with a vault whose key state is bound to this TPM.
  Result<ErasureOutcome> run_bound(const std::string& tpm);

 private:
  std::string image(const char* name) const { return folder_ + "/image-" + name; }
  Result<void> fill();
  // The key server's disk; not the file in which a --dev vault keeps what shares would give.
  Result<void> take_image(const char* name) const;
  Result<void> put_back(const char* what) const;
  Result<bool> found(size_t row) const;  // By a clerk, through the vault as it runs.
  // Founds the vault, takes people in, erases one, and copies the disks on the way. The root key.
  Result<SealingKey> erase_one(const std::string& tpm);
  // What is in the vault's TPM, for whoever has the machine.
  Result<std::vector<EpochSecret>> read_tpm() const;

  std::string folder_;
  std::vector<EpochSecret> tpm_then_;  // In the epoch of the erasure.
  DrillVault vault_;
  std::vector<uint64_t> records_;  // By row.
};

Result<void> Drill::fill() {
  std::string csv = "name,phone\n";
  for (size_t row = 0; row < kPeopleCount; ++row) csv += "王伟," + phone_of(row) + "\n";
  const std::string file = folder_ + "/people.csv";
  SR_TRY(env::real_files().write_atomic(file, as_bytes(csv)));
  records_.resize(kPeopleCount);
  ImportJob job;
  job.collection = "person";
  job.file = file;
  job.report = false;
  job.on_place = [this](uint64_t row, uint64_t record) {
    if (row >= 1 && row <= records_.size()) records_[row - 1] = record;
  };
  Global global;
  global.credential = vault_.credential("operator");
  std::string about;
  return run_import(global, job, &about);
}

Result<void> Drill::take_image(const char* name) const {
  const VaultDir dir(vault_.path());
  std::error_code failed;
  fs::create_directories(image(name), failed);
  SR_TRY(copy(dir.keyserver(), image(name) + "/keyserver"));
  SR_TRY(copy(dir.mirror(), image(name) + "/keyserver-mirror"));
  fs::remove(image(name) + "/keyserver/dev-root.key", failed);
  return failed ? Result<void>(no_copy()) : Result<void>();
}

Result<bool> Drill::found(size_t row) const {
  DrillChild child;
  SR_TRY(child.start({"find", "person", "phone=" + phone_of(row), "--purpose", "service", "--json",
                      "--credential", vault_.credential("clerk")}));
  SR_ASSIGN(const std::string said, child.finish());
  return said.find("\"id\":") != std::string::npos;
}

Result<std::vector<EpochSecret>> Drill::read_tpm() const {
  std::vector<EpochSecret> out;
  SR_ASSIGN(const auto file,
            keyserver::load_vault_file(env::real_files(), VaultDir(vault_.path()).keyserver()));
  SR_ASSIGN(const auto hardware, TpmHardware::open(file.tpm()));
  for (uint32_t slot = 0; slot < keyserver::kEpochSlots; ++slot) {
    auto secret = hardware->read(slot);
    if (secret) out.push_back(*std::move(secret));
  }
  return out;
}

Result<SealingKey> Drill::erase_one(const std::string& tpm) {
  const VaultDir dir(vault_.path());
  SR_TRY(vault_.found(tpm));
  SR_TRY(vault_.serve());
  SR_TRY(fill());
  vault_.stop();
  SR_ASSIGN(SealingKey root, keyserver::load_dev_root(env::real_files(), dir.keyserver()));
  SR_TRY(take_image("before"));
  SR_TRY(copy(dir.store(), folder_ + "/old-store"));
  SR_TRY(copy(dir.store(), folder_ + "/stolen-store"));

  SR_TRY(vault_.serve());
  DrillChild erase;
  SR_TRY(erase.start({"erase", "person", gateway::record_id(RecordIndex{records_[kVictim]}),
                      "--purpose", "erasure", "--case", "drill", "--yes", "--json", "--credential",
                      vault_.credential("clerk")}));
  SR_TRY(erase.finish());
  SR_TRY(take_image("same-epoch"));
  vault_.stop();
  if (!tpm.empty()) {
    SR_ASSIGN(tpm_then_, read_tpm());
  }
  SR_TRY(vault_.serve());  // Which begins the next epoch; it comes within the hour by itself.
  SR_TRY(take_image("horizon"));
  return root;
}

Result<ErasureOutcome> Drill::run() {
  const VaultDir dir(vault_.path());
  SR_ASSIGN(const SealingKey root, erase_one(""));
  ErasureOutcome out;
  const auto through_vault = [&](const char* with) -> Result<void> {
    SR_ASSIGN(const bool victim, found(kVictim));
    SR_ASSIGN(const bool other, found(kOther));
    out.attempts.push_back({with, true, victim, true});
    out.control = other && (out.control || out.attempts.size() == 1);
    return {};
  };
  SR_TRY(through_vault("the vault as it runs"));
  vault_.stop();
  SR_TRY(copy(folder_ + "/old-store", dir.store()));
  SR_TRY(vault_.serve(true));
  SR_TRY(through_vault("old store put back under the vault"));
  vault_.stop();
  SR_TRY(copy(folder_ + "/old-store", dir.store()));
  SR_TRY(copy(image("before") + "/keyserver/state", dir.keyserver() + "/state"));
  SR_TRY(copy(image("before") + "/keyserver-mirror/state", dir.mirror() + "/state"));
  SR_TRY(vault_.serve(true));
  SR_TRY(through_vault("old store and old key state put back under its log"));
  vault_.stop();

  SR_ASSIGN(const auto thief, Thief::make(folder_ + "/thief", folder_ + "/stolen-store"));
  const SealingKey none;
  const RecordIndex victim{records_[kVictim]}, other{records_[kOther]};
  for (const auto& [name, text] : kImages) {
    for (const bool shares : {false, true}) {
      SR_ASSIGN(const bool opened, thief->opens(image(name), shares ? root : none, victim));
      const bool promised = !shares || std::string_view(name) == "horizon";
      out.attempts.push_back({std::string("old store, ") + text, shares, opened, promised});
    }
    SR_ASSIGN(const bool control, thief->opens(image(name), root, other));
    out.control = out.control && control;
  }
  return out;
}

Result<ErasureOutcome> Drill::run_bound(const std::string& tpm) {
  SR_ASSIGN(const SealingKey root, erase_one(tpm));
  vault_.stop();
  SR_ASSIGN(const std::vector<EpochSecret> tpm_now, read_tpm());
  SR_ASSIGN(const auto thief, Thief::make(folder_ + "/thief", folder_ + "/stolen-store"));
  const RecordIndex victim{records_[kVictim]}, other{records_[kOther]};
  ErasureOutcome out;
  for (const auto& [name, text] : kImages) {
    const std::string with = std::string("TPM vault: ") + text;
    SR_ASSIGN(const bool disks, thief->opens(image(name), root, victim));
    SR_ASSIGN(const bool machine, thief->opens(image(name), root, victim, tpm_now));
    out.attempts.push_back({with, true, disks, true});
    out.attempts.push_back({with + ", and the TPM now", true, machine, true});
  }
  // What this thief can do: within the epoch, and with what was not erased.
  SR_ASSIGN(const bool then, thief->opens(image("same-epoch"), root, victim, tpm_then_));
  out.attempts.push_back(
      {"TPM vault: key server disk, same epoch, and the TPM read then", true, then, false});
  SR_ASSIGN(const bool control, thief->opens(image("horizon"), root, other, tpm_now));
  out.control = control && then;
  return out;
}

void print_json(const ErasureOutcome& outcome) {
  std::string out =
      "{\"drill\":\"erasure\",\"pass\":" + std::string(outcome.pass() ? "true" : "false") +
      ",\"control\":" + (outcome.control ? "true" : "false") + ",\"attempts\":[";
  for (size_t i = 0; i < outcome.attempts.size(); ++i) {
    const Attempt& attempt = outcome.attempts[i];
    out += std::string(i == 0 ? "" : ",") + "{\"with\":" + json_string(attempt.with) +
           ",\"shares\":" + (attempt.shares ? "true" : "false") +
           ",\"opened\":" + (attempt.opened ? "true" : "false") +
           ",\"promised\":" + (attempt.promised ? "true" : "false") + "}";
  }
  std::cout << out << "],\"tpm\":" << (outcome.bound ? "true" : "false") << "}\n";
}

// With a second vault, if there is a TPM to be had.
Result<ErasureOutcome> run_drill(const std::string& folder) {
  auto& files = env::real_files();
  SR_TRY(files.make_dirs(folder + "/shares"));
  SR_ASSIGN(ErasureOutcome out, Drill(folder + "/shares").run());
  if (!tpm::swtpm_is_installed()) return out;
  const std::string state = folder + "/tpm-state";
  SR_TRY(files.make_dirs(state));
  SR_TRY(files.make_dirs(folder + "/tpm"));
  SR_ASSIGN(const auto software, tpm::Swtpm::start(state));
  SR_ASSIGN(ErasureOutcome bound, Drill(folder + "/tpm").run_bound(software->tcti()));
  std::ranges::move(bound.attempts, std::back_inserter(out.attempts));
  out.control = out.control && bound.control;
  out.bound = true;
  return out;
}

void print_text(const ErasureOutcome& outcome) {
  std::cout << "One of " << kPeopleCount
            << " records was erased. A thief has a copy of the store from before, and tries to "
               "open it.\n\n";
  std::vector<std::vector<std::string>> table{{"with", "all shares", "the erased record"}};
  for (const Attempt& attempt : outcome.attempts) {
    table.push_back({attempt.with, attempt.shares ? "yes" : "no",
                     attempt.opened ? (attempt.promised ? "OPENS, AGAINST THE PROMISE"
                                                        : "opens: not promised otherwise")
                                    : "cannot be opened"});
  }
  print_table(table);
  std::cout << "\nA record that was not erased " << (outcome.control ? "opens" : "DOES NOT OPEN")
            << " for the same thief, with the shares and each of these disks.\n"
            << "What the shares and a key server disk from before the horizon open, they open for "
               "good: the epoch's key lies\non that disk, sealed under the root key. Where the key "
               "state is bound to a TPM (`init --tpm-epochs`), they open\nnothing: "
            << (outcome.bound ? "that was tried with a TPM in software.\n\n"
                              : "not tried, since swtpm is not installed.\n\n")
            << (outcome.pass() ? "PASS: behind the horizon neither the old store nor any key "
                                 "server disk from then on opens it, and none without shares\n"
                               : "FAIL: an erased record was opened, or the drill could not open "
                                 "any\n");
}

}  // namespace

void add_drill_erasure(CLI::App& drill, Global& global, int& status) {
  auto keep = std::make_shared<std::string>();
  auto* command = drill.add_subcommand(
      "erasure", "Whether an erased record can be opened from old copies, and with what it can");
  command->add_option("--keep", *keep, "Leave vault and copies in this folder");
  command->footer("Examples:\n  strongroom drill erasure\n  strongroom drill erasure --json");
  command->callback([&global, &status, keep] {
    const auto outcome = [&]() -> Result<ErasureOutcome> {
      SR_ASSIGN(const DrillFolder folder, DrillFolder::make(*keep));
      return run_drill(folder.path());
    }();
    if (!outcome) {
      status = fail(global, outcome.error());
      return;
    }
    if (global.json) {
      print_json(*outcome);
    } else {
      print_text(*outcome);
    }
    if (!outcome->pass()) status = kFailed;
  });
}

}  // namespace strongroom::app
