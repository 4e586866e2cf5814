// `strongroom restore`: a vault from a backup, on a bare machine.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "strongroom/app/cli.h"
#include "strongroom/app/folder_lock.h"
#include "strongroom/app/hidden_input.h"
#include "strongroom/app/progress.h"
#include "strongroom/app/tpm_hardware.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/backup/part.h"
#include "strongroom/crypto/random.h"
#include "strongroom/crypto/shamir.h"
#include "strongroom/env/clock.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/term_escrow.h"
#include "strongroom/keyserver/unseal.h"
#include "strongroom/tlog/log_walk.h"

namespace strongroom::app {
namespace {

using backup::SourceFile;
using keyserver::KeyServer;

constexpr uint64_t kMarkerBytesMax = 64;
constexpr std::string_view kMarkerWritten = "restoring.tmp";

struct RestoreOptions {
  std::string from;
  std::string dir;
  std::string keys;
  std::string log;
  std::string tpm;
  bool tpm_epochs = false;
};

class Restore {
 public:
  Restore(const Global& global, const RestoreOptions& options)
      : global_(global), options_(options), dir_(options.dir) {}
  Result<void> run();
  const std::string& about() const { return about_; }

 private:
  Result<void> load();
  Result<void> claim_folder();
  Result<void> copy_keys();
  Result<void> take_newest_log();
  Result<SealingKey> root_key();
  Result<void> make_vault(const SealingKey& root);
  Result<void> give_back(const SealingKey& root);
  void report() const;

  const Global& global_;
  const RestoreOptions& options_;
  VaultDir dir_;
  std::string about_;
  std::string store_dir_, keys_dir_;
  v1::BackupManifest store_, keys_;
  v1::VaultFile vault_;
  bool was_tpm_ = false;
};

Result<void> Restore::load() {
  auto& files = env::real_files();
  store_dir_ = options_.from + "/store";
  keys_dir_ = options_.keys.empty() ? options_.from + "/keys" : options_.keys;
  // The key part says which: a backup that was cut off may have left a younger store's manifest.
  about_ = keys_dir_;
  const auto missing = [](const Error& error, const char* text) {
    return error.code == ErrorCode::kNotFound ? make_error(ErrorCode::kNotFound, text) : error;
  };
  auto keys = backup::load_manifest(files, keys_dir_ + "/" + backup::kKeysManifest);
  if (!keys) {
    return missing(keys.error(),
                   "there is no whole key part of a backup here; --keys says where it is. Nothing "
                   "was changed");
  }
  keys_ = *std::move(keys);
  about_ = store_dir_;
  crypto::Digest hash{};
  auto store = backup::load_manifest(
      files, store_dir_ + "/" + backup::store_manifest_name(keys_.id()), &hash);
  if (!store) {
    return missing(store.error(),
                   "there is no store part of the backup that the keys are of; give the keys that "
                   "were taken with this store. Nothing was changed");
  }
  store_ = *std::move(store);
  if (keys_.part() != v1::BackupManifest::KEYS || store_.part() != v1::BackupManifest::STORE ||
      keys_.id() != store_.id() || keys_.store_manifest() != to_hex(hash)) {
    return make_error(ErrorCode::kDataLoss,
                      "the store's manifest was changed, or is of another backup; restore another. "
                      "Nothing was changed");
  }
  about_.clear();
  return {};
}

// New, empty, or of this very restore that was cut off.
Result<void> Restore::claim_folder() {
  auto& files = env::real_files();
  about_ = dir_.root;
  SR_TRY(files.make_dirs(dir_.root, 0700));
  SR_ASSIGN(const auto names, files.list(dir_.root));
  const auto marker = files.read(dir_.restoring(), kMarkerBytesMax);
  // What a restore leaves that was cut off while it put its marker there: it never had anything
  // else.
  const bool unmarked = names.empty() || names == std::vector{std::string(kMarkerWritten)};
  if (marker ? *marker != store_.id() : !unmarked) {
    return make_error(ErrorCode::kAlreadyExists,
                      "this folder is not empty; give a new one. Nothing was changed");
  }
  SR_TRY(files.write_atomic(dir_.restoring(), as_bytes(store_.id())));
  SR_TRY(lock_folder(dir_.lock(), "another restore into this folder is running"));
  about_.clear();
  return {};
}

// Always anew: what a restore that was cut off made of them cannot be gone on with.
Result<void> Restore::copy_keys() {
  auto& files = env::real_files();
  for (const std::string& folder :
       {dir_.keyserver() + "/state", dir_.keyserver() + "/log", dir_.mirror() + "/state"}) {
    SR_TRY(files.make_dirs(folder, 0700));
    SR_ASSIGN(const auto names, files.list(folder));
    for (const std::string& name : names) {
      struct stat info {};
      const std::string path = folder + "/" + name;
      if (lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode)) SR_TRY(files.remove(path));
    }
  }
  SR_TRY(backup::restore_part(files, keys_, keys_dir_, dir_.root, {}, &about_));
  SR_ASSIGN(vault_, keyserver::load_vault_file(files, dir_.keyserver()));
  if (vault_.vault() != keys_.vault()) {
    return make_error(ErrorCode::kDataLoss, "the key part's files are of another vault");
  }
  if (!options_.log.empty()) return take_newest_log();
  return {};
}

// In place of the backup's, which must be its beginning.
Result<void> Restore::take_newest_log() {
  auto& files = env::real_files();
  const std::string log = dir_.keyserver() + "/log";
  std::string from = options_.log;
  about_ = from;
  SR_ASSIGN(const bool is_vault, files.exists(from + "/keyserver/log"));
  if (is_vault) {
    SR_TRY(lock_folder(from + "/lock",
                       "a `strongroom serve` is running on this folder, so its log still grows; "
                       "end it first"));
    from += "/keyserver/log";
  }
  SR_ASSIGN(const std::string old_note, files.read(log + "/checkpoint", kCheckpointBytesMax));
  SR_ASSIGN(const auto old_keys, keyserver::log_keys_of(files, log, vault_));
  SR_ASSIGN(const auto old, tlog::verify_checkpoint(old_note, old_keys));
  SR_ASSIGN(const auto names, files.list(from));
  for (const std::string& name : names) {
    if (name != "checkpoint" && name != tlog::kKeyChangesFile && !tlog::parse_segment_name(name)) {
      continue;
    }
    SR_ASSIGN(const auto source, SourceFile::open(from + "/" + name));
    SR_TRY(backup::copy_file(source, source.size(), log + "/" + name, {}));
  }
  std::string at;
  const auto tree = tlog::hash_segments(files, log, old.size, &at);
  if (!tree && tree.error().code != ErrorCode::kDataLoss) return tree.error();
  if (!tree || tree->root != old.root) {
    return make_error(ErrorCode::kDataLoss,
                      "this log does not go on from that of the backup: it is older, or another "
                      "vault's. Give the newest, or restore without --log");
  }
  about_.clear();
  return {};
}

Result<SealingKey> Restore::root_key() {
  if (vault_.dev()) return keyserver::find_dev_root(env::real_files(), dir_.keyserver(), vault_);
  if (isatty(STDIN_FILENO) == 1) {
    std::cerr << "Restoring takes " << vault_.threshold() << " of the " << vault_.shares()
              << " share holders: their shares, one after the other.\n";
  }
  std::vector<crypto::Share> shares;
  while (shares.size() < vault_.threshold()) {
    std::string line = read_hidden("A share: ");
    auto share = crypto::parse_share(line);
    explicit_bzero(line.data(), line.size());
    if (!std::cin) {
      return make_error(ErrorCode::kUnavailable,
                        "not enough shares were given (the number); nothing was lost, run it again",
                        static_cast<int64_t>(shares.size()));
    }
    if (!share) return share.error();
    SR_TRY(keyserver::check_share(vault_, *share));
    const bool again = std::any_of(shares.begin(), shares.end(),
                                   [&](const crypto::Share& held) { return held.x == share->x; });
    if (again) return keyserver::kShareGivenAlready;
    shares.push_back(*std::move(share));
  }
  const auto root = crypto::combine_shares(shares);
  if (!root) return keyserver::kSharesDoNotOpen;
  SealingKey key(root->read(SecretAccess{}));
  if (!keyserver::is_root_of(vault_, key)) return keyserver::kSharesDoNotOpen;
  return key;
}

// Its first start too: whatever does not fit shows now.
Result<void> Restore::make_vault(const SealingKey& root) {
  auto& files = env::real_files();
  keyserver::KeyServerOptions options{dir_.keyserver(), dir_.mirror(), kVersion};
  // Another machine has another TPM, or none: the old one's is of no use here.
  was_tpm_ = vault_.has_tpm();
  vault_.clear_tpm();
  std::unique_ptr<TpmHardware> hardware;
  if (!options_.tpm.empty()) {
    v1::TpmFile& tpm = *vault_.mutable_tpm();
    SR_ASSIGN(hardware, TpmHardware::found(options_.tpm, options_.tpm_epochs, tpm));
    SR_TRY(hardware->seal_root(root, tpm));
    options.hardware = hardware.get();
  }
  SR_TRY(keyserver::save_vault_file(files, dir_.keyserver(), vault_));
  SR_TRY(KeyServer::restore(options, root,
                            {keys_.id(), keys_.log_size(), keys_.taken_ms(), !options_.log.empty()},
                            files, env::real_clock()));
  SR_ASSIGN(const auto server, KeyServer::open(options, root, files, env::real_clock()));
  vault_ = server->vault_file();
  return {};
}

// What other parts hold in the clear, and a backup holds sealed.
Result<void> Restore::give_back(const SealingKey& root) {
  auto& files = env::real_files();
  for (const auto& folder : {dir_.gateway(), dir_.credentials(), dir_.run()}) {
    SR_TRY(files.make_dirs(folder, 0700));
  }
  const SealingKey escrow_key = keyserver::term_escrow_key(root);
  SR_ASSIGN(const std::string term_escrow,
            files.read(dir_.term_key_escrow(), keyserver::kTermEscrowSize));
  SR_ASSIGN(const auto term_key, keyserver::open_term_key(escrow_key, as_bytes(term_escrow)));
  std::string hex = to_hex(term_key.read(SecretAccess{})) + "\n";
  auto written = files.write_atomic(dir_.term_key(), as_bytes(hex), 0600);
  explicit_bzero(hex.data(), hex.size());
  SR_TRY(written);
  SR_ASSIGN(const std::string authority_escrow,
            files.read(dir_.authority_escrow(), keyserver::kAuthorityEscrowMax));
  SR_ASSIGN(const auto authority,
            keyserver::open_authority_key(escrow_key, as_bytes(authority_escrow)));
  SR_TRY(files.write_atomic(dir_.authority_key(), authority.read(SecretAccess{}), 0600));
  SR_TRY(files.remove(dir_.restoring()));
  return files.sync_dir(dir_.root);
}

void Restore::report() const {
  const bool newest = !options_.log.empty();
  const auto keys = keyserver::log_keys_of(env::real_files(), dir_.keyserver() + "/log", vault_);
  const std::string verifier = keys ? keys->newest_key().text() : std::string();
  if (global_.json) {
    std::cout << "{\"vault\":" << json_string(vault_.vault())
              << ",\"id\":" << json_string(store_.id()) << ",\"taken_ms\":" << store_.taken_ms()
              << ",\"bytes\":" << backup::bytes_of(store_)
              << ",\"newest_log\":" << (newest ? "true" : "false")
              << ",\"origin\":" << json_string(vault_.origin())
              << ",\"verifier_key\":" << json_string(verifier) << "}\n";
    return;
  }
  std::cout << printable(vault_.name()) << " is restored in " << dir_.root << ", as of "
            << format_time(store_.taken_ms()) << ".\n";
  if (newest) {
    std::cout << "Its log goes on: what was erased since stays erased, budgets and freezes hold. "
                 "Records written since are lost.\n";
  } else {
    std::cout
        << "Whatever came behind that is LOST, in the log too: records written, and erasures, "
           "freezes, people\n"
           "disabled, policies. Look at `strongroom status`, `principal list` and `policy "
           "show` before others use it.\n"
           "The log has a new name, since witnesses and others know more of the old one:\n  "
        << vault_.origin()
        << "\nSet it as log_origin in the credentials of those who check the log, and have "
           "witnesses started with\n  --log "
        << verifier << "\n";
  }
  if (was_tpm_ && options_.tpm.empty()) {
    std::cout
        << "\nNo TPM opens it here, and its key state is bound to none: restore with --tpm for "
           "that.\n";
  }
  std::cout << "\nNext:  strongroom serve " << dir_.root << "\n";
}

Result<void> Restore::run() {
  umask(0077);
  SR_TRY(load());
  SR_TRY(claim_folder());
  SR_TRY(copy_keys());
  SR_ASSIGN(const SealingKey root, root_key());
  Progress progress("MiB", backup::bytes_of(store_));
  uint64_t done = 0;
  SR_TRY(env::real_files().make_dirs(dir_.store(), 0700));
  SR_TRY(backup::restore_part(
      env::real_files(), store_, store_dir_, dir_.root,
      [&](uint64_t bytes) {
        done += bytes;
        progress.update(done, done >> 20);
      },
      &about_));
  progress.clear();
  SR_TRY(make_vault(root));
  SR_TRY(give_back(root));
  report();
  return {};
}

}  // namespace

void add_restore(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<RestoreOptions>();
  auto* command = app.add_subcommand("restore", "Make a vault of a backup, on a bare machine");
  command->add_option("DIR2", options->from, "The backup")->required();
  command->add_option("DIR", options->dir, "A new or empty folder for the vault")->required();
  command->add_option("--keys", options->keys,
                      "Where the key server's part is (DIR2/keys), taken with the same backup");
  command->add_option("--log", options->log,
                      "The newest log there is: the old vault's folder, or its keyserver/log. Then "
                      "what was erased since the backup stays erased");
  auto* tpm = command->add_option("--tpm", options->tpm,
                                  "A TPM of this machine that opens it at each start, beside the "
                                  "shares: device:/dev/tpmrm0");
  command
      ->add_flag("--tpm-epochs", options->tpm_epochs,
                 "Bind the key state to that TPM, as `init --tpm-epochs` does")
      ->needs(tpm);
  command->footer(
      "The share holders give their shares here, one a line; what they approve by it is logged. "
      "Cut "
      "off, run it again:\nit goes on where it was.\n"
      "Examples:\n  strongroom restore /mnt/backup /srv/strongroom --keys /mnt/usb/keys\n"
      "  strongroom restore /mnt/backup /srv/strongroom --log /mnt/old-disk/strongroom");
  command->callback([&global, &status, options] {
    crypto::init();
    Restore restore(global, *options);
    if (const auto done = restore.run(); !done) {
      status = fail(global, done.error(), restore.about());
    }
  });
}

}  // namespace strongroom::app
