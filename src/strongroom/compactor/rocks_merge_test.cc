// The whole path on RocksDB: a gateway's store, read from a copy and written through files, as the
// two processes do it, and what the gateway refuses.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "strongroom/gateway/compaction_service.h"
#include "strongroom/gateway/import_testing.h"
#include "test/support/merging.h"

namespace strongroom::compactor {
namespace {

namespace fs = std::filesystem;
using gateway::people_file;

// The gateway's calls without a socket.
class ServiceAccess : public StoreAccess {
 public:
  ServiceAccess(gateway::CompactionService& service, gateway::CompactionFolders folders)
      : service_(service), folders_(std::move(folders)) {}

  Result<v1::Reply> call(v1::Call call) {
    v1::CallBatch batch;
    *batch.add_calls() = std::move(call);
    auto replies = service_.handle(std::move(batch));
    if (!replies.replies(0).has_error()) return replies.replies(0);
    return make_error(static_cast<ErrorCode>(replies.replies(0).error().code()), "refused");
  }
  Result<std::vector<uint64_t>> measure(std::span<const LaneId> lanes) override {
    v1::Call ask;
    for (const LaneId lane : lanes) ask.mutable_measure_lanes()->add_lanes(lane.value);
    SR_ASSIGN(const auto reply, call(ask));
    return std::vector<uint64_t>(reply.measure_lanes().bytes().begin(),
                                 reply.measure_lanes().bytes().end());
  }
  Result<std::shared_ptr<store::Store>> freeze() override {
    v1::Call ask;
    ask.mutable_freeze_store();
    SR_TRY(call(ask));
    SR_ASSIGN(auto opened, store::open_frozen_store(folders_.frozen, {}));
    return std::shared_ptr<store::Store>(std::move(opened));
  }
  Result<std::unique_ptr<store::SortedRun>> begin_run(store::Table table) override {
    return store::begin_run_files(folders_.files + "/" + std::to_string(next_++) + "-", table);
  }
  Result<void> ingest(LaneId lane, std::unique_ptr<store::SortedRun> postings,
                      std::unique_ptr<store::SortedRun> directory) override {
    v1::Call ask;
    ask.mutable_ingest_lane()->set_lane(lane.value);
    SR_ASSIGN(const auto p, store::finish_run_files(*postings));
    SR_ASSIGN(const auto d, store::finish_run_files(*directory));
    for (const auto& path : p) ask.mutable_ingest_lane()->add_postings(fs::path(path).filename());
    for (const auto& path : d) ask.mutable_ingest_lane()->add_directory(fs::path(path).filename());
    SR_TRY(call(ask));
    return {};
  }

 private:
  gateway::CompactionService& service_;
  gateway::CompactionFolders folders_;
  uint64_t next_ = 0;
};

class RocksMergeTest : public testing::Test {
 protected:
  static std::unique_ptr<store::Store> open(const std::string& path) {
    auto opened = store::open_rocks_store(path, {});
    SR_CHECK(opened.has_value(), "a store");
    return *std::move(opened);
  }
  static gateway::GatewayOptions options() {
    gateway::GatewayOptions out;
    out.import.first_chunk_records = out.import.chunk_records_max = 100;
    out.import.online_records_max = 5;
    return out;
  }
  void SetUp() override { fs::create_directories(folders_.files); }
  Result<void> ingest(uint32_t lane, const std::string& name) {
    v1::Call call;
    call.mutable_ingest_lane()->set_lane(lane);
    call.mutable_ingest_lane()->add_postings(name);
    SR_TRY(access_.call(call));
    return {};
  }
  // A file in the folder with one row of `lane`.
  void write_file(const std::string& name, uint32_t lane) {
    std::string key;
    append_be(key, lane, 3);
    auto run = store::begin_run_files(folders_.files + "/made", store::Table::kPostings);
    ASSERT_TRUE(run->add(key + std::string(13, 'x'), std::string(16, 'x')));
    const auto files = store::finish_run_files(*run);
    ASSERT_TRUE(files);
    fs::rename(files->front(), folders_.files + "/" + name);
  }

  keyserver::TempDir temp_;
  const std::string path_ = temp_.path() + "/store";
  const gateway::CompactionFolders folders_{path_ + "/merge-copy", path_ + "/merge-tmp"};
  test::GatewayVault vault_{
      options(), {test::people()}, test::UnsyncedFiles::instance(), open(path_)};
  gateway::CompactionService service_{vault_.store(), vault_.keys(), folders_};
  ServiceAccess access_{service_, folders_};
};

TEST_F(RocksMergeTest, LanesAreMergedThroughACopyAndFiles) {
  ASSERT_TRUE(vault_.import(people_file("first", 0, 600), 50));
  ASSERT_TRUE(vault_.import(people_file("changed", 0, 50, "number", "Xian")));
  vault_.restart();
  const size_t lanes = test::stored_lanes(vault_.store()).size();
  ASSERT_GE(lanes, 4u) << "some of a file, and one of updates";
  test::LocalKeys keys(vault_.keys());
  Pace pace(0, vault_.clock(), [](uint64_t) {});
  Compactor compactor(keys, access_, pace, vault_.vault().compactor_credential(), {{1, 0}, {}});
  const auto merged = compactor.run_once();
  ASSERT_TRUE(merged) << merged.error().text;
  EXPECT_TRUE(*merged);
  EXPECT_FALSE(*compactor.run_once());
  EXPECT_EQ(compactor.last().sources.size(), lanes);
  EXPECT_EQ(compactor.last().kept, 4u * 600);
  EXPECT_EQ(vault_.count({{"city", "Wuhan"}})->count(), 550u);
  EXPECT_EQ(vault_.count({{"city", "Xian"}})->count(), 50u);
  EXPECT_TRUE(fs::is_empty(folders_.files)) << "moved into the store";
  gateway::LaneSweeper sweeper(vault_.store(), vault_.keys(), vault_.clock(), 1000);
  ASSERT_TRUE(sweeper.sweep());
  vault_.clock().advance_ms(1);
  EXPECT_EQ(*sweeper.sweep(), lanes);
  EXPECT_EQ(test::stored_lanes(vault_.store()).size(), 1u);
  EXPECT_EQ(vault_.count({{"city", "Wuhan"}})->count(), 550u);
  EXPECT_EQ(vault_.find({{"number", "N7"}})->records_size(), 1);
}

TEST_F(RocksMergeTest, OnlyFilesOfTheReservedLaneAreTakenIn) {
  ASSERT_TRUE(vault_.import(people_file("first", 0, 300), 50));
  const auto begun = vault_.vault().call(
      keyserver::begin_merge_call(vault_.vault().compactor_credential(), {1, 2}));
  const uint32_t target = begun.begin_merge().lane();
  write_file("a.sst", target);
  write_file("b.sst", 1);
  std::ofstream(folders_.files + "/c.sst") << "no sorted run";
  EXPECT_EQ(ingest(1, "b.sst").error().code, ErrorCode::kFailedPrecondition) << "it is searched";
  EXPECT_EQ(ingest(target + 1, "a.sst").error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(ingest(kLaneMax + 1, "a.sst").error().code, ErrorCode::kInvalidArgument);
  for (const char* bad : {"b.sst", "c.sst", "none.sst", "../merge-tmp/a.sst", "/etc/passwd", "",
                          ".", "..", "A.sst"}) {
    EXPECT_EQ(ingest(target, bad).error().code, ErrorCode::kInvalidArgument) << bad;
  }
  EXPECT_TRUE(ingest(target, "a.sst"));
  v1::Call other;
  other.mutable_sync();
  EXPECT_EQ(access_.call(other).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(access_.call({}).error().code, ErrorCode::kInvalidArgument);
  other.mutable_measure_lanes()->add_lanes(kLaneMax + 1);
  EXPECT_EQ(access_.call(other).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace strongroom::compactor
