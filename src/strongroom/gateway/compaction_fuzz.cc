// Calls of a hostile compactor, on a store in files: whatever it asks, every search finds what it
// found, and no file but those of its folder is touched.
#include <filesystem>
#include <fstream>

#include "strongroom/gateway/compaction_service.h"
#include "test/support/gateway_vault.h"

using namespace strongroom;
using namespace strongroom::test;

namespace {

namespace fs = std::filesystem;

struct Fixture {
  Fixture() {
    fs::create_directories(folders.files);
    Source source{"town", {"name", "number", "email", "city"}, "", {}, keyserver::kPerson};
    for (int i = 0; i < 40; ++i) {
      const std::string n = std::to_string(i);
      source.rows.push_back({"Wang " + n, "N" + n, "w" + n + "@x", i % 2 == 0 ? "a" : "b"});
    }
    SR_CHECK(vault.import(source).has_value(), "an import");
    const auto begun =
        vault.vault().call(keyserver::begin_merge_call(vault.vault().compactor_credential(), {1}));
    SR_CHECK(begun.has_begin_merge(), "a merge under way");
    target = begun.begin_merge().lane();
    make(folders.files + "/mine.sst", target);
    make(folders.files + "/other.sst", 1);
    make(path + "/outside.sst", target);
  }
  // A file with one row of `lane`.
  static void make(const std::string& at, uint32_t lane) {
    std::string key;
    append_be(key, lane, 3);
    auto run = store::begin_run_files(at + ".made", store::Table::kPostings);
    SR_CHECK(run->add(key + std::string(13, 'x'), std::string(16, 'x')).has_value(), "a row");
    fs::rename((*store::finish_run_files(*run)).front(), at);
  }
  static std::unique_ptr<store::Store> open(const std::string& path) {
    auto opened = store::open_rocks_store(path, {});
    SR_CHECK(opened.has_value(), "a store");
    return *std::move(opened);
  }

  keyserver::TempDir temp;
  const std::string path = temp.path() + "/store";
  const gateway::CompactionFolders folders{path + "/merge-copy", path + "/merge-tmp"};
  GatewayVault vault{small_chunks(), {people()}, UnsyncedFiles::instance(), open(path)};
  gateway::CompactionService service{vault.store(), vault.keys(), folders};
  uint32_t target = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Fixture fixture;
  v1::CallBatch batch;
  const std::string text(as_text({data, size}));
  if (!batch.ParseFromString(text)) return 0;
  for (v1::Call& call : *batch.mutable_calls()) {
    // The target's number is not known to who writes inputs.
    if (call.has_ingest_lane() && call.ingest_lane().lane() == 99) {
      call.mutable_ingest_lane()->set_lane(fixture.target);
    }
  }
  const int count = batch.calls_size();
  const auto replies = fixture.service.handle(std::move(batch));
  SR_CHECK(replies.replies_size() == count, "a reply for each call");
  const auto found = fixture.vault.count({{"city", "a"}});
  SR_CHECK(found && found->count() == 20, "searches find what they found");
  SR_CHECK(fs::exists(fixture.path + "/outside.sst"), "only the one folder's files");
  SR_CHECK(fs::exists(fixture.folders.files + "/other.sst"), "only the reserved lane's rows");
  return 0;
}
