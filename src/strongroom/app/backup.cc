// `strongroom backup`: a copy of a vault that serves, to restore it from.
#include <unistd.h>

#include <cmath>
#include <iostream>
#include <memory>
#include <optional>

#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/app/folder_lock.h"
#include "strongroom/app/frozen_store.h"
#include "strongroom/app/progress.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/backup/part.h"
#include "strongroom/crypto/random.h"
#include "strongroom/env/clock.h"

namespace strongroom::app {
namespace {

// Lanes change a few times a minute while much is imported, and freezing takes a fraction of a
// second.
constexpr int kFreezesMax = 50;

struct BackupOptions {
  std::string dir;
  std::string keys;
  std::string destroyed;
};

class Backup {
 public:
  Backup(const Global& global, const BackupOptions& options) : global_(global), options_(options) {}

  Result<void> run();
  Result<void> destroyed();
  const std::string& about() const { return about_; }

 private:
  Result<v1::BackupResponse> step(v1::BackupRequest::Step step) {
    request_.set_step(step);
    return admin_->call<v1::BackupRequest, v1::BackupResponse>("Backup", request_);
  }
  Result<void> connect();
  Result<void> open_parts();
  Result<void> freeze();
  Result<void> copy_keys();
  Result<void> copy_store();
  Result<void> finish();
  v1::BackupManifest head(v1::BackupManifest::Part part) const;

  const Global& global_;
  const BackupOptions& options_;
  std::string about_;
  std::string keys_dir_;
  std::optional<Credential> credential_;
  std::unique_ptr<AdminClient> admin_;
  v1::BackupRequest request_;
  uint64_t taken_ms_ = 0;
  v1::BackupResponse keys_of_;  // What the key server said is the moment.
  std::optional<VaultDir> vault_;
  std::unique_ptr<FrozenStore> frozen_;
  std::unique_ptr<backup::PartWriter> store_, keys_;
};

Result<void> Backup::connect() {
  SR_ASSIGN(credential_, load_credential(global_.credential));
  SR_ASSIGN(admin_, AdminClient::connect(*credential_));
  return {};
}

v1::BackupManifest Backup::head(v1::BackupManifest::Part part) const {
  v1::BackupManifest manifest;
  manifest.set_part(part);
  manifest.set_vault(credential_->connection.vault_hex);
  manifest.set_id(request_.id());
  return manifest;
}

// Store and key state as of one moment: no lane is merged, published or opened in between.
Result<void> Backup::freeze() {
  for (int i = 0;; ++i) {
    SR_ASSIGN(const auto prepared, step(v1::BackupRequest::PREPARE));
    if (!vault_) {
      vault_.emplace(prepared.folder());
      if (prepared.folder().empty() || access(vault_->compactor_socket().c_str(), W_OK) != 0) {
        return make_error(ErrorCode::kFailedPrecondition,
                          "the vault's folder cannot be used from here: run this on the machine of "
                          "`strongroom serve`, as its user, while it serves");
      }
      SR_ASSIGN(frozen_, FrozenStore::open(*vault_));
    }
    SR_TRY(frozen_->freeze());
    request_.set_generation(prepared.generation());
    auto keys = step(v1::BackupRequest::KEYS);
    if (keys) {
      keys_of_ = *std::move(keys);
      taken_ms_ = prepared.t_ms();
      for (const auto& part : {store_.get(), keys_.get()}) {
        part->set_moment(taken_ms_, keys_of_.log_size());
      }
      return {};
    }
    if (keys.error().code != ErrorCode::kConflict || i == kFreezesMax) return keys.error();
  }
}

// Before anything is logged: a folder that cannot be used is found out first.
Result<void> Backup::open_parts() {
  auto& files = env::real_files();
  keys_dir_ = options_.keys.empty() ? options_.dir + "/keys" : options_.keys;
  about_ = keys_dir_;
  SR_ASSIGN(keys_, backup::PartWriter::open(files, about_, head(v1::BackupManifest::KEYS)));
  about_ = options_.dir + "/store";
  SR_ASSIGN(store_, backup::PartWriter::open(files, about_, head(v1::BackupManifest::STORE)));
  about_.clear();
  return {};
}

Result<void> Backup::copy_keys() {
  // Opened at once: an epoch's file goes when the next begins.
  std::vector<std::pair<const v1::KeyStateFile*, backup::SourceFile>> files;
  for (const v1::KeyStateFile& file : keys_of_.files()) {
    about_ = vault_->keyserver() + "/" + (file.from().empty() ? file.name() : file.from());
    SR_ASSIGN(auto source, backup::SourceFile::open(about_));
    files.emplace_back(&file, std::move(source));
  }
  about_ = keys_dir_;
  for (const auto& [file, source] : files) {
    const std::string name = "keyserver/" + file->name();
    if (file->head().empty()) {
      SR_TRY(keys_->add(source, name, file->bytes(), {}));
      continue;
    }
    const std::string path = vault_->keyserver() + "/" + file->from();
    SR_ASSIGN(const std::string body, env::real_files().read(path, file->bytes()));
    SR_TRY(keys_->add(as_bytes(file->head() + body), name));
  }
  return keys_->add(as_bytes(keys_of_.checkpoint()), "keyserver/log/checkpoint");
}

Result<void> Backup::copy_store() {
  auto& files = env::real_files();
  about_ = options_.dir + "/store";
  SR_ASSIGN(const auto names, files.list(vault_->backup_copy()));
  uint64_t total = 0, done = 0;
  for (const std::string& name : names) {
    SR_ASSIGN(const uint64_t bytes, files.file_size(vault_->backup_copy() + "/" + name));
    total += bytes;
  }
  Progress progress("MiB", total);
  for (const std::string& name : names) {
    SR_ASSIGN(const auto source, backup::SourceFile::open(vault_->backup_copy() + "/" + name));
    SR_TRY(store_->add(source, "store/" + name, source.size(), [&](uint64_t bytes) {
      done += bytes;
      progress.update(done, done >> 20);
    }));
  }
  return {};
}

// Each part becomes the point of restore, and then what only the one before had goes.
Result<void> Backup::finish() {
  SR_ASSIGN(const auto store_hash, store_->finish());
  about_ = keys_dir_;
  SR_ASSIGN(const auto keys_hash, keys_->finish(to_hex(store_hash)));
  about_.clear();
  request_.set_store_manifest(std::string(as_text(store_hash)));
  request_.set_keys_manifest(std::string(as_text(keys_hash)));
  request_.set_bytes(backup::bytes_of(store_->manifest()));
  SR_TRY(step(v1::BackupRequest::TAKEN));
  SR_TRY(store_->sweep());
  SR_TRY(store_->done());
  SR_TRY(keys_->sweep());
  for (const std::string& id : keys_->before()) {
    if (id == keys_->manifest().id()) continue;
    request_.set_id(id);
    const auto told = step(v1::BackupRequest::DESTROYED);
    // It was told before, or is of a log whose end was lost.
    if (!told && told.error().code != ErrorCode::kNotFound) return told.error();
  }
  return keys_->done();
}

Result<void> Backup::run() {
  SR_TRY(connect());
  ByteArray<8> id{};
  crypto::random_bytes(id);
  request_.set_id(to_hex(id));
  about_ = options_.dir;
  SR_TRY(env::real_files().make_dirs(options_.dir, 0700));
  SR_TRY(lock_folder(options_.dir + "/lock",
                     "another backup into this folder is running; nothing was changed"));
  about_.clear();
  const uint64_t started_us = env::real_clock().monotonic_us();
  SR_TRY(open_parts());
  SR_TRY(freeze());
  SR_TRY(copy_keys());
  SR_TRY(copy_store());
  frozen_.reset();
  SR_TRY(finish());
  const double seconds =
      static_cast<double>(env::real_clock().monotonic_us() - started_us + 1) / 1e6;
  const uint64_t written = store_->bytes_written() + keys_->bytes_written();
  const uint64_t bytes = request_.bytes();
  if (global_.json) {
    std::cout << "{\"id\":" << json_string(keys_->manifest().id()) << ",\"taken_ms\":" << taken_ms_
              << ",\"log_size\":" << keys_of_.log_size() << ",\"bytes\":" << bytes
              << ",\"bytes_written\":" << written << ",\"seconds\":" << seconds << "}\n";
    return {};
  }
  std::cout << "Backup " << keys_->manifest().id() << " is as of " << format_time(taken_ms_)
            << ": whatever was acknowledged before is in it.\n"
            << "  store  " << format_count(bytes >> 20) << " MiB in " << options_.dir
            << "/store; nothing in it opens without the keys\n"
            << "  keys   in " << keys_dir_ << ", sealed under the share holders' key"
            << (options_.keys.empty() ? "; better kept apart: --keys" : "") << "\n"
            << "  " << format_count(written >> 20) << " MiB were new, in "
            << format_count(static_cast<uint64_t>(std::llround(seconds))) << " s\n"
            << "What is erased from now on, this copy of the keys still opens for whoever has the "
               "shares,\nuntil the next backup replaces it or you destroy it: `strongroom "
               "status`.\n";
  return {};
}

Result<void> Backup::destroyed() {
  SR_TRY(connect());
  request_.set_id(options_.destroyed);
  SR_ASSIGN(const auto told, step(v1::BackupRequest::DESTROYED));
  if (global_.json) {
    std::cout << "{\"destroyed\":" << json_string(options_.destroyed) << ",\"leaf\":" << told.leaf()
              << "}\n";
  } else {
    std::cout << "Logged as entry " << told.leaf()
              << ": this copy of the key state is destroyed, you say.\n";
  }
  return {};
}

}  // namespace

void add_backup(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<BackupOptions>();
  auto* command =
      app.add_subcommand("backup", "Copy a vault that serves: a point to restore it from");
  auto* dir = command->add_option("DIR2", options->dir,
                                  "Where to; the backup before in it is replaced, and only what is "
                                  "new is copied");
  command->add_option(
      "--keys", options->keys,
      "Another folder for the key server's part: for the share holders (DIR2/keys)");
  auto* destroyed = command->add_option("--destroyed", options->destroyed,
                                        "Instead: say that this backup's keys were destroyed");
  destroyed->excludes(dir);
  command->footer(
      "Runs on the machine of `serve`, as its user. Cut off, it goes on where it was.\n"
      "Examples:\n  strongroom backup /mnt/backup --keys /mnt/usb/keys --credential operator.json\n"
      "  strongroom verify /mnt/backup\n"
      "  strongroom backup --destroyed 5b0c93a1e2d47f68 --credential operator.json");
  command->callback([&global, &status, options] {
    if (options->dir.empty() == options->destroyed.empty()) {
      status = usage("give DIR2, or --destroyed ID; see `strongroom backup --help`");
      return;
    }
    Backup backup(global, *options);
    const auto done = options->destroyed.empty() ? backup.run() : backup.destroyed();
    if (!done) status = fail(global, done.error(), backup.about());
  });
}

}  // namespace strongroom::app
