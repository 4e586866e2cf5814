// A vault for a drill: founded, served and filled by the program's own commands, in a folder that
// goes when the drill does.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/drill/population.h"

namespace strongroom::app {

// The example collection of people with three more columns, all searchable by exact value: surname,
// region and year of birth as columns of their own, which is how a table with HMAC columns has it.
inline constexpr char kDrillCollection[] = "drill";
inline constexpr uint32_t kDrillCollectionId = 1000;

// How the people of a drill come in, so that both kinds of lane and the write-ahead log have some.
struct DrillParts {
  uint64_t bulk;     // The first so many, in one import.
  uint64_t online;   // Then so many at a time, until all are in: small imports, one write each.
  uint64_t changed;  // At last so many move house, and are imported again, `online` at a time.
};
DrillParts parts_of(uint64_t people);

// A folder of our own under TMPDIR, removed at the end; or `keep`, which stays.
class DrillFolder {
 public:
  static Result<DrillFolder> make(const std::string& keep);
  DrillFolder(DrillFolder&& other) noexcept;
  DrillFolder& operator=(DrillFolder&&) = delete;
  ~DrillFolder();
  const std::string& path() const { return path_; }

 private:
  DrillFolder(std::string path, bool kept) : path_(std::move(path)), kept_(kept) {}
  std::string path_;
  bool kept_;
};

// This program as a child that ends when we do. Not thread-safe.
class DrillChild {
 public:
  DrillChild() = default;
  DrillChild(const DrillChild&) = delete;
  DrillChild& operator=(const DrillChild&) = delete;
  ~DrillChild() { end(); }
  // `ready_fd`: passed as --ready-fd. Otherwise its standard output is read.
  Result<void> start(const std::vector<std::string>& arguments, bool ready_fd = false);
  // Its first line. kUnavailable: it ended without one, and has said why.
  Result<std::string> line();
  // All that it prints, and that it ended well.
  Result<std::string> finish();
  void end();  // SIGTERM, and waits.

 private:
  pid_t pid_ = -1;
  int out_ = -1;
};

class DrillVault {
 public:
  explicit DrillVault(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }
  std::string credential(const char* who) const { return path_ + "/credentials/" + who + ".json"; }
  // `tpm`: one that its key state is bound to.
  Result<void> found(const std::string& tpm = {});
  // `put_back`: over a store that was.
  Result<void> serve(bool put_back = false);
  void stop() { server_.end(); }
  // Imports the people as `parts` says; they are changed as their records are.
  Result<void> fill(drill::Population& people, const DrillParts& parts, const std::string& folder);
  // Copies the store's files as they lie there, while it runs.
  Result<void> steal(const std::string& to) const;

 private:
  Result<void> run(std::vector<std::string> arguments, const char* who) const;
  Result<void> apply_rules();
  Result<std::vector<uint64_t>> import(const std::vector<std::string>& columns,
                                       std::span<const drill::Person> people,
                                       const std::string& file);
  Result<void> import_new(drill::Population& people, std::span<drill::Person> rows, uint64_t first,
                          const std::string& file);

  std::string path_;
  DrillChild server_;
};

}  // namespace strongroom::app
