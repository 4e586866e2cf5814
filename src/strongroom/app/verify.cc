// `strongroom verify`: every file of a vault or of a backup, without a key.
#include <unistd.h>

#include <iostream>
#include <memory>

#include "strongroom/app/cli.h"
#include "strongroom/app/frozen_store.h"
#include "strongroom/app/progress.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/backup/part.h"
#include "strongroom/env/files.h"
#include "strongroom/keyserver/state_file.h"
#include "strongroom/keyserver/unseal.h"
#include "strongroom/store/rocks_verify.h"
#include "strongroom/tlog/log_walk.h"
#include "strongroom/tlog/release_log.h"

namespace strongroom::app {
namespace {

constexpr uint64_t kStateReadMax = uint64_t{1} << 30;

class Verify {
 public:
  explicit Verify(std::string dir) : dir_(std::move(dir)) {}
  Result<void> run();
  const std::vector<std::pair<std::string, std::string>>& damaged() const { return damaged_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t entries() const { return entries_; }
  const std::string& kind() const { return kind_; }

 private:
  Result<bool> part(const std::string& dir);
  Result<void> vault();
  Result<void> log(const std::string& log_dir, const v1::VaultFile& vault);
  Result<void> state(const VaultDir& vault);
  Result<void> store(const VaultDir& vault);
  void bad(std::string file, std::string what) {
    damaged_.emplace_back(std::move(file), std::move(what));
  }
  void read(uint64_t bytes) {
    bytes_ += bytes;
    progress_.update(bytes_, bytes_ >> 20);
  }

  std::string dir_;
  std::string kind_;
  Progress progress_{"MiB", 0};
  uint64_t bytes_ = 0;
  uint64_t entries_ = 0;
  std::vector<std::pair<std::string, std::string>> damaged_;
};

// Every backup that is in the folder: of one that was cut off there may be another beside.
Result<bool> Verify::part(const std::string& dir) {
  auto& files = env::real_files();
  SR_ASSIGN(const auto names, backup::list_manifests(files, dir));
  for (const std::string& name : names) {
    const auto manifest = backup::load_manifest(files, dir + "/" + name);
    if (!manifest) {
      if (manifest.error().code != ErrorCode::kDataLoss) return manifest.error();
      bad(dir + "/" + name, "is damaged: make a new backup into another folder");
      continue;
    }
    SR_TRY(backup::verify_part(
        *manifest, dir,
        [&](const v1::BackupFile& file) {
          bad(dir + "/files/" + file.sha256(),
              file.name() +
                  " is missing or damaged: remove this file and run `strongroom backup` "
                  "again, which copies it anew");
        },
        [this](uint64_t bytes) { read(bytes); }));
  }
  return !names.empty();
}

// The tree over the segments, against the signed checkpoint; and the tiles made of them, if there.
Result<void> Verify::log(const std::string& log_dir, const v1::VaultFile& vault) {
  auto& files = env::real_files();
  const char* const mend = "restore keyserver/log from its latest copy; do not delete anything";
  auto note = files.read(log_dir + "/checkpoint", kCheckpointBytesMax);
  if (!note) {
    bad(log_dir + "/checkpoint", std::string("is missing: ") + mend);
    return {};
  }
  const auto keys = keyserver::log_keys_of(files, log_dir, vault);
  if (!keys && keys.error().code != ErrorCode::kDataLoss) return keys.error();
  if (!keys) {
    bad(log_dir + "/" + tlog::kKeyChangesFile,
        "is damaged: the key server writes it anew at its next start");
    return {};
  }
  const auto checkpoint = tlog::verify_checkpoint(*note, *keys);
  if (!checkpoint) {
    bad(log_dir + "/checkpoint", std::string("is not signed by this vault: ") + mend);
    return {};
  }
  std::string at;
  const auto tree = tlog::hash_segments(files, log_dir, checkpoint->size, &at);
  if (!tree && tree.error().code != ErrorCode::kDataLoss) return tree.error();
  if (!tree || tree->root != checkpoint->root) {
    bad(log_dir + "/" + at, std::string("does not fit the signed checkpoint: ") + mend);
    return {};
  }
  entries_ = checkpoint->size;
  for (const std::string& tile : tree->stale) {
    bad(log_dir + "/" + tile,
        "is missing or damaged: the key server writes it anew at its next start");
  }
  return {};
}

// Both copies are written from the same bytes, one after the other.
Result<void> Verify::state(const VaultDir& vault) {
  auto& files = env::real_files();
  std::string newest[2], bytes[2];
  const std::string folders[2] = {vault.keyserver() + "/state", vault.mirror() + "/state"};
  for (int i = 0; i < 2; ++i) {
    const auto names = files.list(folders[i]);
    uint64_t epoch = 0;
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
      if (keyserver::parse_state_file_name(name, &epoch)) newest[i] = name;  // Sorted.
    }
    if (newest[i].empty()) {
      bad(folders[i], "holds no key state: it heals from the other copy at the next start");
      return {};
    }
    auto read_bytes = files.read(folders[i] + "/" + newest[i], kStateReadMax);
    if (!read_bytes) return {};  // The next epoch has begun meanwhile.
    bytes[i] = *std::move(read_bytes);
    read(bytes[i].size());
    if (!keyserver::has_state_form(as_bytes(bytes[i]), epoch)) {
      bad(folders[i] + "/" + newest[i],
          "has not the form of a key state: it heals from the other copy at the next start");
    }
  }
  if (newest[0] != newest[1]) return {};
  const size_t both = std::min(bytes[0].size(), bytes[1].size());
  if (std::string_view(bytes[0]).substr(0, both) != std::string_view(bytes[1]).substr(0, both)) {
    bad(folders[0] + "/" + newest[0] + " or " + folders[1] + "/" + newest[1],
        "is damaged, since they differ: which one shows at the next start, and it heals from the "
        "other; keep both");
  }
  return {};
}

Result<void> Verify::store(const VaultDir& vault) {
  std::string folder = vault.store();
  std::unique_ptr<FrozenStore> frozen;
  if (access(vault.compactor_socket().c_str(), W_OK) == 0) {
    SR_ASSIGN(frozen, FrozenStore::open(vault));
    // If nobody answers there, it is what a vault that was killed has left.
    if (frozen->freeze()) folder = vault.backup_copy();
  }
  return store::verify_rocks_files(
      folder,
      [&](const std::string& name) {
        bad(vault.store() + "/" + name,
            "is damaged: restore a backup, or the records it held are lost; do not delete it");
      },
      [this](uint64_t bytes) { read(bytes); });
}

Result<void> Verify::vault() {
  const VaultDir vault(dir_);
  auto& files = env::real_files();
  const auto vault_file = keyserver::load_vault_file(files, vault.keyserver());
  if (!vault_file) {
    if (vault_file.error().code != ErrorCode::kDataLoss) return vault_file.error();
    bad(vault.keyserver() + "/vault.json", "is damaged: restore it from a backup");
    return {};
  }
  SR_TRY(log(vault.keyserver() + "/log", *vault_file));
  SR_TRY(state(vault));
  for (const std::string& path : {vault.authority_certificate(), vault.authority_key(),
                                  vault.term_key_escrow(), vault.term_key()}) {
    const auto size = files.file_size(path);
    if (!size || *size == 0) bad(path, "is missing: restore it from a backup");
  }
  return store(vault);
}

Result<void> Verify::run() {
  auto& files = env::real_files();
  SR_ASSIGN(const bool is_vault, files.exists(dir_ + "/keyserver/vault.json"));
  SR_ASSIGN(const bool half, files.exists(VaultDir(dir_).restoring()));
  if (half) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "a restore into this folder was cut off; run the same restore again");
  }
  if (is_vault) {
    kind_ = "vault";
    return vault();
  }
  kind_ = "backup";
  bool any = false;
  for (const char* below : {"", "/store", "/keys"}) {
    SR_ASSIGN(const bool is_part, part(dir_ + below));
    any |= is_part;
  }
  if (any) return {};
  return make_error(ErrorCode::kNotFound,
                    "there is neither a vault nor a whole backup in this folder");
}

Result<bool> verify_vault(const Global& global, const std::string& dir) {
  Verify verify(dir);
  SR_TRY(verify.run());
  const auto& damaged = verify.damaged();
  if (global.json) {
    std::cout << "{\"sound\":" << (damaged.empty() ? "true" : "false")
              << ",\"kind\":" << json_string(verify.kind()) << ",\"bytes\":" << verify.bytes()
              << ",\"log_entries\":" << verify.entries() << ",\"damaged\":[";
    const char* comma = "";
    for (const auto& [file, what] : damaged) {
      std::cout << comma << "{\"file\":" << json_string(file) << ",\"what\":" << json_string(what)
                << "}";
      comma = ",";
    }
    std::cout << "]}\n";
    return damaged.empty();
  }
  for (const auto& [file, what] : damaged)
    std::cout << "DAMAGED " << file << "\n  " << what << "\n";
  if (damaged.empty()) {
    std::cout << "sound: every file of this " << verify.kind() << ", "
              << format_count(verify.bytes() >> 20) << " MiB";
    if (verify.entries() != 0) {
      std::cout << "; " << format_count(verify.entries())
                << " log entries fit the signed checkpoint";
    }
    std::cout << "\n";
  }
  return damaged.empty();
}

}  // namespace

void add_verify(CLI::App& app, Global& global, int& status) {
  auto dir = std::make_shared<std::string>();
  auto* command = app.add_subcommand(
      "verify", "Check every file of a vault or of a backup, without opening anything");
  command->add_option("DIR", *dir, "A vault's folder, serving or not, or a backup's")->required();
  command->footer(
      "Changes nothing, and needs no key. Exit status 1: something is damaged; it is named, with "
      "what to do.\nExamples:\n  strongroom verify /srv/strongroom\n  strongroom verify "
      "/mnt/backup");
  command->callback([&global, &status, dir] {
    const auto sound = verify_vault(global, *dir);
    if (!sound) {
      status = fail(global, sound.error(), *dir);
    } else if (!*sound) {
      status = kFailed;
    }
  });
}

}  // namespace strongroom::app
