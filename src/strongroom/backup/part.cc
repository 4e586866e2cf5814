#include "strongroom/backup/part.h"

#include <algorithm>
#include <set>

namespace strongroom::backup {
namespace {

constexpr char kUnfinished[] = "/unfinished.json";
constexpr char kFiles[] = "/files";
constexpr char kPartial[] = "/files/partial";
// A backup that is killed copies so much again, at most, beside the file it was at.
constexpr uint64_t kSaveEvery = uint64_t{256} << 20;

std::string object_path(const std::string& dir, std::string_view sha256) {
  return dir + kFiles + "/" + std::string(sha256);
}

// Whether a file holds what it should.
Result<bool> is_whole(const std::string& path, const v1::BackupFile& file, const BytesDone& done) {
  const auto source = SourceFile::open(path);
  if (!source) {
    if (source.error().code == ErrorCode::kNotFound) return false;
    return source.error();
  }
  if (source->size() != file.bytes()) return false;
  const auto hash = hash_file(*source, file.bytes(), done);
  // A sector that cannot be read is damage too.
  return hash.has_value() && to_hex(*hash) == file.sha256();
}

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

}  // namespace

uint64_t bytes_of(const v1::BackupManifest& manifest) {
  uint64_t bytes = 0;
  for (const v1::BackupFile& file : manifest.files()) bytes += file.bytes();
  return bytes;
}

Result<v1::BackupManifest> load_manifest(env::Files& files, const std::string& path,
                                         crypto::Digest* hash) {
  SR_ASSIGN(const std::string json, files.read(path, kManifestBytesMax));
  if (hash != nullptr) *hash = crypto::sha256(as_bytes(json));
  return parse_manifest(json);
}

Result<std::vector<std::string>> list_manifests(env::Files& files, const std::string& dir) {
  std::vector<std::string> out;
  auto names = files.list(dir);
  if (!names && names.error().code == ErrorCode::kNotFound) return out;
  if (!names) return names.error();
  for (std::string& name : *names) {
    if (is_manifest_name(name)) out.push_back(std::move(name));
  }
  return out;
}

PartWriter::PartWriter(env::Files& files, std::string dir, v1::BackupManifest head)
    : files_(files), dir_(std::move(dir)), manifest_(std::move(head)) {
  manifest_.set_format(kManifestFormat);
}

Result<std::unique_ptr<PartWriter>> PartWriter::open(env::Files& files, std::string dir,
                                                     v1::BackupManifest head) {
  const Error foreign =
      make_error(ErrorCode::kAlreadyExists,
                 "this folder holds something else than backups of this vault; give another, or a "
                 "new one. Nothing was changed");
  std::unique_ptr<PartWriter> part(new PartWriter(files, std::move(dir), std::move(head)));
  SR_TRY(files.make_dirs(part->dir_, 0700));
  SR_ASSIGN(const auto names, files.list(part->dir_));
  bool ours = false;
  for (const std::string& name : names) {
    if (!is_manifest_name(name) && "/" + name != kUnfinished) continue;
    const auto before = load_manifest(files, part->dir_ + "/" + name);
    if (!before) return before.error();
    if (before->vault() != part->manifest_.vault() || before->part() != part->manifest_.part()) {
      return foreign;
    }
    ours = true;
    part->know(*before);
  }
  if (!ours && !names.empty()) return foreign;
  SR_TRY(files.make_dirs(part->dir_ + kFiles, 0700));
  SR_TRY(part->save_unfinished());
  return part;
}

void PartWriter::set_moment(uint64_t taken_ms, uint64_t log_size) {
  manifest_.set_taken_ms(taken_ms);
  manifest_.set_log_size(log_size);
}

void PartWriter::know(const v1::BackupManifest& manifest) {
  before_.insert(manifest.id());
  before_.insert(manifest.before().begin(), manifest.before().end());
  for (const v1::BackupFile& file : manifest.files()) known_[file.name()] = file;
}

Result<bool> PartWriter::is_there(const v1::BackupFile& file) const {
  const auto size = files_.file_size(object_path(dir_, file.sha256()));
  return size.has_value() && *size == file.bytes();
}

Result<void> PartWriter::save_unfinished() {
  unsaved_ = 0;
  SR_TRY(files_.sync_dir(dir_ + kFiles));
  v1::BackupManifest unfinished = manifest_;
  unfinished.mutable_before()->Add(before_.begin(), before_.end());
  // Of one that was cut off before this one, what is still to come.
  std::set<std::string_view> names;
  for (const v1::BackupFile& file : manifest_.files()) names.insert(file.name());
  for (const auto& [name, file] : known_) {
    if (!names.contains(name)) *unfinished.add_files() = file;
  }
  if (unfinished.part() == v1::BackupManifest::KEYS && unfinished.store_manifest().empty()) {
    unfinished.set_store_manifest(std::string(64, '0'));
  }
  return files_.write_atomic(dir_ + kUnfinished, as_bytes(format_manifest(unfinished)));
}

Result<void> PartWriter::add(const SourceFile& source, const std::string& name, uint64_t bytes,
                             const BytesDone& done) {
  if (!is_file_name(manifest_.part(), name)) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "the vault's folder holds a file that is none of ours; move it away");
  }
  v1::BackupFile& file = *manifest_.add_files();
  const auto known = known_.find(name);
  if (known != known_.end() && known->second.source() == source.fingerprint() &&
      known->second.bytes() == bytes) {
    SR_ASSIGN(const bool there, is_there(known->second));
    if (there) {
      file = known->second;
      if (done) done(bytes);
      return {};
    }
  }
  auto hash = copy_file(source, bytes, dir_ + kPartial, done);
  if (!hash) {
    manifest_.mutable_files()->RemoveLast();
    return hash.error();
  }
  file.set_name(name);
  file.set_bytes(bytes);
  file.set_sha256(to_hex(*hash));
  file.set_source(source.fingerprint());
  SR_TRY(rename_file(dir_ + kPartial, object_path(dir_, file.sha256())));
  bytes_written_ += bytes;
  unsaved_ += bytes;
  if (unsaved_ >= kSaveEvery) SR_TRY(save_unfinished());
  return {};
}

Result<void> PartWriter::add(Bytes content, const std::string& name) {
  v1::BackupFile& file = *manifest_.add_files();
  file.set_name(name);
  file.set_bytes(content.size());
  file.set_sha256(to_hex(crypto::sha256(content)));
  bytes_written_ += content.size();
  return files_.write_atomic(object_path(dir_, file.sha256()), content);
}

Result<crypto::Digest> PartWriter::finish(const std::string& store_manifest) {
  manifest_.set_store_manifest(store_manifest);
  const std::string json = format_manifest(manifest_);
  SR_TRY(files_.sync_dir(dir_ + kFiles));
  SR_TRY(files_.write_atomic(dir_ + "/" + manifest_name(), as_bytes(json)));
  return crypto::sha256(as_bytes(json));
}

std::string PartWriter::manifest_name() const {
  return manifest_.part() == v1::BackupManifest::KEYS ? kKeysManifest
                                                      : store_manifest_name(manifest_.id());
}

Result<void> PartWriter::sweep() {
  SR_ASSIGN(const auto manifests, list_manifests(files_, dir_));
  for (const std::string& name : manifests) {
    if (name != manifest_name()) SR_TRY(files_.remove(dir_ + "/" + name));
  }
  SR_TRY(files_.sync_dir(dir_));
  std::set<std::string> kept;
  for (const v1::BackupFile& file : manifest_.files()) kept.insert(file.sha256());
  SR_ASSIGN(const auto names, files_.list(dir_ + kFiles));
  for (const std::string& name : names) {
    if (!kept.contains(name)) SR_TRY(files_.remove(object_path(dir_, name)));
  }
  return files_.sync_dir(dir_ + kFiles);
}

Result<void> PartWriter::done() {
  SR_TRY(files_.remove(dir_ + kUnfinished));
  return files_.sync_dir(dir_);
}

Result<void> verify_part(const v1::BackupManifest& manifest, const std::string& dir,
                         const std::function<void(const v1::BackupFile&)>& damaged,
                         const BytesDone& done) {
  for (const v1::BackupFile& file : manifest.files()) {
    SR_ASSIGN(const bool whole, is_whole(object_path(dir, file.sha256()), file, done));
    if (!whole) damaged(file);
  }
  return {};
}

Result<void> restore_part(env::Files& files, const v1::BackupManifest& manifest,
                          const std::string& dir, const std::string& to, const BytesDone& done,
                          std::string* at) {
  std::set<std::string> folders;
  for (const v1::BackupFile& file : manifest.files()) {
    *at = object_path(dir, file.sha256());
    const std::string path = to + "/" + file.name();
    if (folders.insert(folder_of(path)).second) SR_TRY(files.make_dirs(folder_of(path), 0700));
    const auto there = files.file_size(path);
    if (there && *there == file.bytes()) {
      SR_ASSIGN(const bool whole, is_whole(path, file, done));
      if (whole) continue;
    }
    const Error lost = make_error(ErrorCode::kDataLoss,
                                  "this file of the backup is missing or damaged; restore another "
                                  "backup. What was restored so far is of no use");
    const auto source = SourceFile::open(*at);
    if (!source && source.error().code != ErrorCode::kNotFound) return source.error();
    if (!source || source->size() != file.bytes()) return lost;
    SR_ASSIGN(const crypto::Digest hash, copy_file(*source, file.bytes(), path, done));
    if (to_hex(hash) != file.sha256()) {
      SR_TRY(files.remove(path));
      return lost;
    }
  }
  for (const std::string& folder : folders) SR_TRY(files.sync_dir(folder));
  at->clear();
  return {};
}

}  // namespace strongroom::backup
