// manifest.json: which files a part of a backup consists of, by size and SHA-256.
//
// Outside bytes: whoever holds the folder may have written it. Names lead nowhere but below the
// vault's folder, and a file counts only if it hashes as named.
// Spec: docs/spec/backup.md
#pragma once

#include <string>
#include <string_view>

#include "strongroom/base/result.h"
#include "strongroom/v1/backup.pb.h"

namespace strongroom::backup {

inline constexpr uint64_t kManifestBytesMax = uint64_t{32} << 20;
inline constexpr int kManifestFilesMax = 100'000;
inline constexpr uint32_t kManifestFormat = 1;

// The key part has one, and the store's part one for each backup that is there: which of them is
// the point of restore, the key part says by its id.
inline constexpr char kKeysManifest[] = "manifest.json";
std::string store_manifest_name(std::string_view id);  // "manifest-5b0c93a1e2d47f68.json"
bool is_manifest_name(std::string_view name);

// "store/..." or "keyserver/...", by part: names of [A-Za-z0-9._-], none of them hidden.
bool is_file_name(v1::BackupManifest::Part part, std::string_view name);

//   kDataLoss            Not a manifest, or one that names what no backup holds.
//   kFailedPrecondition  Of a newer version.
Result<v1::BackupManifest> parse_manifest(std::string_view json);
std::string format_manifest(const v1::BackupManifest& manifest);

}  // namespace strongroom::backup
