// What RocksDB adds to the contract: restarts, damage, full disks, what its files give away.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "strongroom/env/files.h"
#include "strongroom/store/store.h"

namespace strongroom::store {
namespace {

namespace fs = std::filesystem;

std::string key_of(int i) {
  std::string key(8, '\0');
  store_be(reinterpret_cast<uint8_t*>(key.data()), static_cast<uint64_t>(i));
  return key;
}
// Distinct for each i, so that a damaged byte is found in the file of the right row.
std::string value_of(int i) {
  return "value " + std::to_string(i) + std::string(300, static_cast<char>('a' + i % 26));
}

class RocksStoreTest : public testing::Test {
 protected:
  RocksStoreTest() : root_(testing::TempDir() + "sr-rocks-XXXXXX") {
    EXPECT_NE(mkdtemp(root_.data()), nullptr);
    path_ = root_ + "/deep/er/db";
  }
  ~RocksStoreTest() override { fs::remove_all(root_); }

  Result<std::unique_ptr<Store>> open() { return open_rocks_store(path_, {}); }
  std::unique_ptr<Store> reopen() {
    auto store = open();
    EXPECT_TRUE(store);
    return store ? std::move(store).value() : nullptr;
  }
  static Result<void> put(Store& store, int i, Durability durability = Durability::kBuffered) {
    const Put one{Table::kRecords, key_of(i), value_of(i)};
    return store.put({&one, 1}, durability);
  }
  static Result<std::optional<std::string>> get(Store& store, int i) {
    const std::string key = key_of(i);
    std::vector<std::optional<std::string>> values;
    SR_TRY(store.get(Table::kRecords, {&key, 1}, values));
    return values.at(0);
  }
  static void ingest(Store& store, int from, int to) {
    auto run = store.begin_run(Table::kRecords);
    ASSERT_TRUE(run);
    for (int i = from; i < to; ++i) ASSERT_TRUE((*run)->add(key_of(i), value_of(i)));
    ASSERT_TRUE(store.ingest(std::move(run).value()));
  }
  std::vector<std::string> files(const std::string& suffix) const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
      if (entry.path().string().ends_with(suffix)) found.push_back(entry.path());
    }
    return found;
  }
  // Flips one bit of the byte at `offset`.
  static void damage(const std::string& file, size_t offset) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(offset));
    const int byte = stream.get();
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(static_cast<char>(byte ^ 1));
    ASSERT_TRUE(stream.good());
  }
  static std::string content(const std::string& file) {
    return env::real_files().read(file, uint64_t{1} << 30).value();
  }
  static ErrorCode code(const auto& result) {
    return result ? ErrorCode::kInternal : result.error().code;
  }

  std::string root_, path_;
};

TEST_F(RocksStoreTest, EverythingIsThereAfterARestart) {
  {
    auto store = reopen();
    ASSERT_TRUE(put(*store, 1, Durability::kSynced));
    ingest(*store, 10, 20);
    ASSERT_TRUE(*store->compare_and_set(Table::kRecords, key_of(2), std::nullopt, value_of(2)));
  }
  auto store = reopen();
  for (int i : {1, 2, 10, 19}) EXPECT_EQ(*get(*store, i), value_of(i));
  EXPECT_EQ(*get(*store, 20), std::nullopt);
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(RocksStoreTest, AKilledProcessLosesNothingAcknowledged) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = open();
    if (!store) _exit(1);
    for (int i = 0; i < 50; ++i) {
      if (!put(**store, i, i % 10 == 9 ? Durability::kSynced : Durability::kBuffered)) _exit(2);
    }
    ingest(**store, 100, 110);
    auto half = (*store)->begin_run(Table::kRecords);
    if (!half || !(*half)->add(key_of(200), "never ingested")) _exit(3);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_FALSE(fs::is_empty(path_ + "/ingest-tmp"));
  auto store = reopen();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(*get(*store, i), value_of(i));
  for (int i = 100; i < 110; ++i) EXPECT_EQ(*get(*store, i), value_of(i));
  EXPECT_EQ(*get(*store, 200), std::nullopt);
  EXPECT_TRUE(fs::is_empty(path_ + "/ingest-tmp")) << "a crashed import's files are gone";
}

TEST_F(RocksStoreTest, OnlyOneMayHaveItOpen) {
  auto store = reopen();
  EXPECT_EQ(code(open()), ErrorCode::kFailedPrecondition);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(code(open()) == ErrorCode::kFailedPrecondition ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(RocksStoreTest, ADamagedBlockIsDataLossForItsRowsAlone) {
  {
    auto store = reopen();
    ingest(*store, 0, 2000);
  }
  const auto tables = files(".sst");
  ASSERT_EQ(tables.size(), 1u);
  damage(tables[0], content(tables[0]).find("value 1000") + 20);

  auto store = reopen();
  const auto lost = get(*store, 1000);
  EXPECT_EQ(code(lost), ErrorCode::kDataLoss);
  EXPECT_EQ(lost.error().number, std::stoll(tables[0].substr(tables[0].rfind('/') + 1)))
      << "it is said which file";
  EXPECT_EQ(*get(*store, 0), value_of(0));
  EXPECT_EQ(*get(*store, 1999), value_of(1999));
  const std::vector<std::string> keys{key_of(0), key_of(1000)};
  std::vector<std::optional<std::string>> values;
  EXPECT_EQ(code(store->get(Table::kRecords, keys, values)), ErrorCode::kDataLoss);
  EXPECT_TRUE(values.empty());
  int seen = 0;
  const auto scanned = store->scan(Table::kRecords, "", "", [&](auto key, auto value) {
    EXPECT_EQ(key, key_of(seen));
    EXPECT_EQ(value, value_of(seen));
    return ++seen < 10'000;
  });
  EXPECT_EQ(code(scanned), ErrorCode::kDataLoss);
  EXPECT_LE(seen, 1000);
}

TEST_F(RocksStoreTest, NoFlippedBitIsEverReadAsData) {
  {
    auto store = reopen();
    ingest(*store, 0, 60);
  }
  const std::string table = files(".sst").at(0);
  const size_t size = content(table).size();
  int detected = 0;
  for (size_t offset = 0; offset < size; offset += 1201) {
    damage(table, offset);
    auto opened = open();
    if (!opened) {
      EXPECT_EQ(code(opened), ErrorCode::kDataLoss);
      ++detected;
    } else {
      bool lost = false;
      for (int i = 0; i < 60; ++i) {
        const auto got = get(**opened, i);
        EXPECT_TRUE(!got || *got == value_of(i)) << "flipped at " << offset;
        lost |= !got && code(got) == ErrorCode::kDataLoss;
      }
      detected += lost;
    }
    opened = make_error(ErrorCode::kUnavailable, "closed before its file is changed");
    damage(table, offset);
  }
  EXPECT_GT(detected, 12);
}

TEST_F(RocksStoreTest, ADamagedWriteAheadLogIsRefusedAndACutTailIsNot) {
  {
    auto store = reopen();
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(put(*store, i, Durability::kSynced));
  }
  std::string log;
  for (const auto& file : files(".log")) {
    if (content(file).find("value 10") != std::string::npos) log = file;
  }
  ASSERT_NE(log, "");
  const size_t middle = content(log).find("value 10") + 20;
  damage(log, middle);
  EXPECT_EQ(code(open()), ErrorCode::kDataLoss) << "not the rows before it, silently";
  damage(log, middle);

  fs::resize_file(log, content(log).find("value 19") + 20);
  auto store = reopen();
  for (int i = 0; i < 19; ++i) EXPECT_EQ(*get(*store, i), value_of(i));
  EXPECT_EQ(*get(*store, 19), std::nullopt);
}

TEST_F(RocksStoreTest, AMissingFileIsDataLossAndMakesNoNewStore) {
  {
    auto store = reopen();
    ingest(*store, 0, 10);
  }
  const std::string table = files(".sst").at(0);
  fs::rename(table, root_ + "/away");
  EXPECT_EQ(code(open()), ErrorCode::kDataLoss);
  fs::rename(root_ + "/away", table);
  fs::resize_file(table, fs::file_size(table) - 1);
  EXPECT_EQ(code(open()), ErrorCode::kDataLoss) << "cut short";

  fs::rename(path_ + "/CURRENT", root_ + "/away");
  EXPECT_EQ(code(open()), ErrorCode::kDataLoss);
  EXPECT_FALSE(fs::exists(path_ + "/CURRENT"));
}

TEST_F(RocksStoreTest, AFullDiskIsNoSpaceAndWhatWasAcknowledgedIsSafe) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = open();
    // RLIMIT_FSIZE stands in for the full disk: no privilege needed.
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{200'000, RLIM_INFINITY};
    if (!store || setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(1);
    int acknowledged = 0;
    Result<void> last;
    while ((last = put(**store, acknowledged, Durability::kSynced))) ++acknowledged;
    if (last.error().code != ErrorCode::kNoSpace) _exit(2);
    if (put(**store, 0, Durability::kSynced)) _exit(3);
    auto run = (*store)->begin_run(Table::kRecords);
    for (int i = 0; run && last.error().code == ErrorCode::kNoSpace && i < 2000; ++i) {
      last = (*run)->add(key_of(i), value_of(i));
      if (last) last = make_error(ErrorCode::kNoSpace, "go on");
    }
    const auto ingested = (*store)->ingest(std::move(run).value());
    if (ingested || ingested.error().code != ErrorCode::kNoSpace) _exit(4);
    if (write(pipe_ends[1], &acknowledged, sizeof acknowledged) != sizeof acknowledged) _exit(5);
    _exit(0);
  }
  close(pipe_ends[1]);
  int acknowledged = 0;
  EXPECT_EQ(read(pipe_ends[0], &acknowledged, sizeof acknowledged), ssize_t{sizeof acknowledged});
  close(pipe_ends[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "step " << WEXITSTATUS(status);
  EXPECT_GT(acknowledged, 100);
  auto store = reopen();
  for (int i = 0; i < acknowledged; ++i) EXPECT_EQ(*get(*store, i), value_of(i));
  EXPECT_TRUE(put(*store, acknowledged, Durability::kSynced));
}

TEST_F(RocksStoreTest, AStoreThatOutgrowsItsCacheReadsFilesOfBothKinds) {
  ingest(*reopen(), 0, 500);
  {
    RocksOptions options;
    options.block_cache_bytes = 4096;  // Whatever is there is large for it.
    auto store = open_rocks_store(path_, options);
    ASSERT_TRUE(store);
    ingest(**store, 500, 1000);
    for (int i = 0; i < 1000; i += 7) EXPECT_EQ(*get(**store, i), value_of(i));
    EXPECT_EQ(*get(**store, 1000), std::nullopt);
  }
  const auto store = reopen();
  for (int i = 0; i < 1000; i += 7) EXPECT_EQ(*get(*store, i), value_of(i));
}

TEST_F(RocksStoreTest, ItsOwnLogHoldsNoKeyAndStaysSmall) {
  const std::string key = "PLANTEDKEY", hex = to_hex(as_bytes(key));
  for (int round = 0; round < 5; ++round) {
    auto store = reopen();
    const Put one{Table::kMeta, key, "PLANTEDVALUE"};
    ASSERT_TRUE(store->put({&one, 1}, Durability::kSynced));
    auto run = store->begin_run(Table::kMeta);
    ASSERT_TRUE(run);
    ASSERT_TRUE((*run)->add(key, "PLANTEDVALUE"));
    ASSERT_TRUE(store->ingest(std::move(run).value()));
  }
  int logs = 0;
  for (const auto& entry : fs::directory_iterator(path_)) {
    if (!entry.path().filename().string().starts_with("LOG")) continue;
    ++logs;
    const std::string text = content(entry.path());
    EXPECT_LT(text.size(), 1u << 20);
    EXPECT_EQ(text.find("PLANTED"), std::string::npos);
    EXPECT_EQ(text.find(hex), std::string::npos);
  }
  EXPECT_LE(logs, 2);
}

TEST_F(RocksStoreTest, StatsCountWhatIsInSortedFiles) {
  auto store = reopen();
  ingest(*store, 0, 1000);
  const auto stats = store->stats();
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->entries[0], 1000u);
  EXPECT_GT(stats->bytes[0], 300'000u);
  EXPECT_LT(stats->bytes[0], 400'000u);
  EXPECT_EQ(stats->bytes[1], 0u);
}

// What a compactor does: reads a frozen copy while the store goes on, and writes files beside it.
TEST_F(RocksStoreTest, AFrozenCopyStaysAsItWasAndFilesMadeApartAreTakenIn) {
  auto store = reopen();
  ingest(*store, 0, 1000);
  ASSERT_TRUE(put(*store, 5000));  // Not in a file yet.
  const std::string folder = path_ + "/frozen";
  ASSERT_TRUE(store->freeze(folder));
  ASSERT_TRUE(store->erase_range(Table::kRecords, key_of(0), key_of(4000)));
  ASSERT_TRUE(put(*store, 5001));
  {
    auto frozen = open_frozen_store(folder, {});
    ASSERT_TRUE(frozen) << frozen.error().text;
    EXPECT_EQ(*get(**frozen, 7), value_of(7));
    EXPECT_EQ(*get(**frozen, 5000), value_of(5000));
    EXPECT_EQ(*get(**frozen, 5001), std::nullopt);
    EXPECT_FALSE(put(**frozen, 1));
    size_t rows = 0;
    ASSERT_TRUE((*frozen)->scan(Table::kRecords, "", "",
                                [&](std::string_view, std::string_view) { return ++rows, true; }));
    EXPECT_EQ(rows, 1001u);
  }
  ASSERT_TRUE(store->freeze(folder)) << "the one before goes";

  fs::create_directories(root_ + "/apart");
  auto run = begin_run_files(root_ + "/apart/1-", Table::kRecords);
  for (int i = 100; i < 200; ++i) ASSERT_TRUE(run->add(key_of(i), value_of(i)));
  const auto made = finish_run_files(*run);
  ASSERT_TRUE(made);
  ASSERT_EQ(made->size(), 1u);
  const auto outside = store->ingest_files(Table::kRecords, key_of(100), key_of(199), *made);
  EXPECT_EQ(outside.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(store->ingest_files(Table::kRecords, key_of(101), key_of(200), *made).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(*get(*store, 150), std::nullopt);
  const auto taken = store->ingest_files(Table::kRecords, key_of(100), key_of(200), *made);
  ASSERT_TRUE(taken) << taken.error().text;
  EXPECT_EQ(*get(*store, 150), value_of(150));
  run.reset();
  EXPECT_TRUE(fs::is_empty(root_ + "/apart"));
  std::ofstream(root_ + "/apart/no") << "not a sorted run";
  const std::vector<std::string> bad{root_ + "/apart/no"};
  EXPECT_EQ(store->ingest_files(Table::kRecords, "", "", bad).error().code,
            ErrorCode::kInvalidArgument);

  ASSERT_TRUE(remove_frozen(folder));
  EXPECT_FALSE(fs::exists(folder));
  ASSERT_TRUE(remove_frozen(folder));
  store.reset();
  store = reopen();
  EXPECT_EQ(*get(*store, 150), value_of(150));
  EXPECT_EQ(*get(*store, 7), std::nullopt);
}

}  // namespace
}  // namespace strongroom::store
