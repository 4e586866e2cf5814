// A release log in a folder of its own, for tests: keys that need no disk, the folder gone at the
// end.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "strongroom/env/files.h"
#include "strongroom/tlog/release_log.h"

namespace strongroom::tlog::test {

inline constexpr uint64_t kStart = 1'700'000'000'000;

// One key a month, the same in every run.
class FixedKeys : public BodyKeys {
 public:
  Result<const SealingKey*> key(uint32_t month) override {
    if (fails) return make_error(ErrorCode::kNoSpace, "no room for a key");
    auto [it, created] = keys_.try_emplace(month);
    if (created) store_be<uint32_t>(it->second.write(SecretAccess{}).data(), month);
    return &it->second;
  }
  bool fails = false;
  size_t months() const { return keys_.size(); }

 private:
  std::map<uint32_t, SealingKey> keys_;
};

// Memory where there is some: these tests are about bytes, and sync some thousand times.
inline std::string temporary_folder() {
  const bool memory = access("/dev/shm", W_OK) == 0;
  const std::filesystem::path base = memory ? "/dev/shm" : std::filesystem::temp_directory_path();
  std::string pattern = (base / "strongroom_tlog.XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "no temporary folder";
  return pattern;
}

class LogFolder {
 public:
  LogFolder() : folder_(temporary_folder()) {
    options.dir = folder_ + "/log";
    options.origin = "strongroom.local/7e57";
    options.preallocate_bytes = 4096;
  }
  ~LogFolder() { std::filesystem::remove_all(folder_); }
  LogFolder(const LogFolder&) = delete;
  LogFolder& operator=(const LogFolder&) = delete;

  // Replayed entries go to `replayed`, which is cleared first.
  Result<std::unique_ptr<ReleaseLog>> open(env::Files& files = env::real_files()) {
    replayed.clear();
    return ReleaseLog::open(options, files, keys, signers, [this](const Entry& entry) {
      replayed.push_back(entry);
      return Result<void>();
    });
  }
  std::unique_ptr<ReleaseLog> must_open(env::Files& files = env::real_files()) {
    auto log = open(files);
    EXPECT_TRUE(log) << (log ? "" : log.error().text);
    return log ? std::move(log).value() : nullptr;
  }
  ErrorCode open_error() {
    const auto log = open();
    return log ? ErrorCode::kInternal : log.error().code;
  }

  std::string path(const std::string& name) const { return options.dir + "/" + name; }
  std::string segment(uint32_t n = 0) const {
    return path("entries-0000000" + std::to_string(n) + ".log");
  }
  std::string read(const std::string& file) const {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& file, const std::string& bytes) const {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  }
  TileReader reader() const {
    return [this](std::string_view tile) {
      return env::real_files().read(path(std::string(tile)), 1 << 20);
    };
  }
  Result<VerifyReport> verify() const { return verify_log(reader(), key(), nullptr); }

  LogOptions options;
  FixedKeys keys;
  static crypto::SigningKey signer_of(uint8_t n) {
    return crypto::SigningKey::from_seed(ByteArray<32>{n});
  }
  NoteKey key() const { return log_key(options.origin, signer.public_key()); }
  const crypto::SigningKey signer = signer_of(7);
  LogSigners signers = [] {
    LogSigners out;
    out.push_back(signer_of(7));
    return out;
  }();
  std::vector<Entry> replayed;

 private:
  std::string folder_;
};

// Entry i of a test log: what it holds tells which one it is.
inline std::vector<std::string> items_of(uint64_t i) {
  std::vector<std::string> items{"item of " + std::to_string(i)};
  for (uint64_t j = 0; j < i % 3; ++j) items.emplace_back(j * 10, 'x');
  return items;
}

inline void stage_numbered(ReleaseLog& log, uint64_t i) {
  const auto place = log.stage(EntryType::kRelease, items_of(i), kStart + i);
  ASSERT_TRUE(place) << place.error().text;
}

// Appends entries numbered from size() on, `group` to a commit.
inline void fill(ReleaseLog& log, uint64_t count, uint64_t group = 1) {
  const uint64_t end = log.size() + count;
  while (log.size() < end) {
    const uint64_t first = log.size();
    for (uint64_t i = first; i < std::min(first + group, end); ++i) stage_numbered(log, i);
    const auto leaves = log.commit();
    ASSERT_TRUE(leaves) << leaves.error().text;
  }
}

// Whether the entries are number 0, 1, 2 ... as fill() wrote them.
inline bool are_numbered(const std::vector<Entry>& entries, uint64_t first = 0) {
  for (const Entry& entry : entries) {
    if (entry.leaf.value != first || entry.items != items_of(first)) return false;
    ++first;
  }
  return true;
}

}  // namespace strongroom::tlog::test
