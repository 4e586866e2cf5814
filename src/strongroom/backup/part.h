// A part of a backup in its folder: the store's, or the key server's.
//
//   DIR/manifest*.json     what it consists of; written only when all its files are there
//   DIR/files/<sha256>     their bytes, each once
//   DIR/unfinished.json    what a backup under way has copied: a next one goes on from there
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "strongroom/backup/copy.h"
#include "strongroom/backup/manifest.h"
#include "strongroom/env/files.h"

namespace strongroom::backup {

// A manifest by its path, and the hash of the file.
//   kNotFound  There is none.
Result<v1::BackupManifest> load_manifest(env::Files& files, const std::string& path,
                                         crypto::Digest* hash = nullptr);
// Names of those in a folder; none if it is not there.
Result<std::vector<std::string>> list_manifests(env::Files& files, const std::string& dir);

// Not thread-safe: one writer to a folder. Borrows `files`.
class PartWriter {
 public:
  // Makes the folder if it is not there. `head`: all of the manifest but files.
  //   kAlreadyExists  It holds something else: another vault's backup, the other part, other files.
  static Result<std::unique_ptr<PartWriter>> open(env::Files& files, std::string dir,
                                                  v1::BackupManifest head);

  // Ids of the backups that are in the folder, whole or not.
  const std::set<std::string>& before() const { return before_; }
  // Of when it is.
  void set_moment(uint64_t taken_ms, uint64_t log_size);
  // Copies the first `bytes` of a file, unless they are there already.
  Result<void> add(const SourceFile& file, const std::string& name, uint64_t bytes,
                   const BytesDone& done);
  // The same for bytes at hand.
  Result<void> add(Bytes content, const std::string& name);
  // From here on it is whole, and of the key part the point of restore; the hash of its manifest.
  Result<crypto::Digest> finish(const std::string& store_manifest = {});
  // Removes what the manifest does not name: files that only backups before it had. Once both parts
  // are finished.
  Result<void> sweep();
  // Whoever must be told that before() are gone has been. Until then the next one has them, too.
  Result<void> done();

  uint64_t bytes_written() const { return bytes_written_; }
  const v1::BackupManifest& manifest() const { return manifest_; }

 private:
  PartWriter(env::Files& files, std::string dir, v1::BackupManifest head);
  std::string manifest_name() const;
  void know(const v1::BackupManifest& manifest);
  Result<bool> is_there(const v1::BackupFile& file) const;
  Result<void> save_unfinished();

  env::Files& files_;
  std::string dir_;
  v1::BackupManifest manifest_;
  std::set<std::string> before_;
  std::map<std::string, v1::BackupFile> known_;  // By name.
  uint64_t bytes_written_ = 0;
  uint64_t unsaved_ = 0;
};

// Reads every file of a part. `damaged` is told the name of each that is missing or hashes
// otherwise, and where it lies.
Result<void> verify_part(const v1::BackupManifest& manifest, const std::string& dir,
                         const std::function<void(const v1::BackupFile&)>& damaged,
                         const BytesDone& done);
// Copies every file of a part below `to`, checked on the way; those that are whole there already
// are kept. `at`: the file it failed with.
//   kDataLoss  One is missing or hashes otherwise.
Result<void> restore_part(env::Files& files, const v1::BackupManifest& manifest,
                          const std::string& dir, const std::string& to, const BytesDone& done,
                          std::string* at);
uint64_t bytes_of(const v1::BackupManifest& manifest);

}  // namespace strongroom::backup
