#include "strongroom/backup/manifest.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <set>

#include "strongroom/base/bytes.h"

namespace strongroom::backup {
namespace {

constexpr size_t kNameMax = 128;

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_plain(std::string_view name) {
  return !name.empty() && name.front() != '.' && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
}

}  // namespace

std::string store_manifest_name(std::string_view id) {
  return "manifest-" + std::string(id) + ".json";
}

bool is_manifest_name(std::string_view name) {
  constexpr size_t kIdAt = 9, kIdSize = 16;
  return name == kKeysManifest ||
         (name.size() == kIdAt + kIdSize + 5 && is_hex(name.substr(kIdAt, kIdSize), kIdSize) &&
          name == store_manifest_name(name.substr(kIdAt, kIdSize)));
}

bool is_file_name(v1::BackupManifest::Part part, std::string_view name) {
  if (name.size() > kNameMax) return false;
  const std::string_view top = part == v1::BackupManifest::STORE ? "store/" : "keyserver/";
  if (!name.starts_with(top)) return false;
  name.remove_prefix(top.size());
  if (part == v1::BackupManifest::KEYS) {
    for (const std::string_view below : {"log/", "state/"}) {
      if (name.starts_with(below)) {
        name.remove_prefix(below.size());
        break;
      }
    }
  }
  return is_plain(name);
}

Result<v1::BackupManifest> parse_manifest(std::string_view json) {
  const Error damaged =
      make_error(ErrorCode::kDataLoss,
                 "This manifest.json is damaged, or is none of a backup. Nothing was changed.");
  if (json.size() > kManifestBytesMax) return damaged;
  v1::BackupManifest manifest;
  const google::protobuf::StringPiece text(json.data(), json.size());
  if (!google::protobuf::util::JsonStringToMessage(text, &manifest).ok()) return damaged;
  if (manifest.format() > kManifestFormat) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "This backup was written by a newer strongroom. Use that version.");
  }
  const bool keys = manifest.part() == v1::BackupManifest::KEYS;
  if (manifest.format() != kManifestFormat ||
      (!keys && manifest.part() != v1::BackupManifest::STORE) || !is_hex(manifest.vault(), 32) ||
      !is_hex(manifest.id(), 16) || manifest.files_size() > kManifestFilesMax ||
      (keys ? !is_hex(manifest.store_manifest(), 64) : !manifest.store_manifest().empty())) {
    return damaged;
  }
  for (const std::string& id : manifest.before()) {
    if (!is_hex(id, 16)) return damaged;
  }
  std::set<std::string_view> names;
  for (const v1::BackupFile& file : manifest.files()) {
    if (!is_file_name(manifest.part(), file.name()) || !is_hex(file.sha256(), 64) ||
        !names.insert(file.name()).second) {
      return damaged;
    }
  }
  return manifest;
}

std::string format_manifest(const v1::BackupManifest& manifest) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  SR_CHECK(google::protobuf::util::MessageToJsonString(manifest, &json, options).ok(),
           "a manifest can be written as JSON");
  return json;
}

}  // namespace strongroom::backup
