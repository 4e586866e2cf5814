#include <algorithm>

#include "strongroom/tlog/log_for_test.h"

namespace strongroom::tlog {
namespace {

using test::fill;
using test::items_of;
using test::kStart;
using test::LogFolder;

std::vector<std::string> tiles_of(const LogFolder& folder) {
  std::vector<std::string> tiles;
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder.path("tile"))) {
    if (file.is_regular_file()) tiles.push_back(file.path().string());
  }
  std::sort(tiles.begin(), tiles.end());
  return tiles;
}

class VerifyTest : public testing::Test {
 protected:
  VerifyTest() {
    const auto log = folder.must_open();
    EXPECT_TRUE(log->stage(EntryType::kStart, items_of(0), kStart) && log->commit());
    fill(*log, 599, 60);
    EXPECT_TRUE(log->write_checkpoint());
  }
  LogFolder folder;
};

TEST_F(VerifyTest, ReportCountsTheEntries) {
  uint64_t done = 0;
  const auto report =
      verify_log(folder.reader(), folder.key(), [&](uint64_t now, uint64_t) { done = now; });
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(report->entries, 600u);
  EXPECT_EQ(report->by_type[1], 1u);
  EXPECT_EQ(report->by_type[2], 599u);
  EXPECT_EQ(report->first_t_ms, kStart);
  EXPECT_EQ(report->last_t_ms, kStart + 599);
  EXPECT_EQ(done, 600u);
}

TEST_F(VerifyTest, EveryDamagedOrMissingTileIsNamed) {
  for (const std::string& tile : tiles_of(folder)) {
    const std::string bytes = folder.read(tile);
    for (const size_t at : {size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ 4);
      folder.write(tile, damaged);
      const auto report = folder.verify();
      ASSERT_FALSE(report) << tile;
      EXPECT_EQ(report.error().code, ErrorCode::kDataLoss);
      EXPECT_GE(report.error().number, 0);
    }
    folder.write(tile, bytes.substr(0, bytes.size() - 1));
    EXPECT_FALSE(folder.verify()) << tile;
    folder.write(tile, bytes + "x");
    EXPECT_FALSE(folder.verify()) << tile;
    std::filesystem::remove(tile);
    EXPECT_EQ(folder.verify().error().code, ErrorCode::kDataLoss) << tile;
    folder.write(tile, bytes);
  }
  EXPECT_TRUE(folder.verify());
}

TEST_F(VerifyTest, TheFirstLeafThatDoesNotFitIsNamed) {
  const std::string bundle = folder.path("tile/entries/001");
  std::string bytes = folder.read(bundle);
  bytes[100 * 51 + 2 + 40] ^= 1;  // Inside the hash of the items.
  folder.write(bundle, bytes);
  EXPECT_EQ(folder.verify().error().number, 256 + 100);
}

TEST_F(VerifyTest, AnEditOfEntriesAndTilesTogetherBreaksTheRoot) {
  // Everything recomputed but the checkpoint, which cannot be signed again.
  LogFolder other;
  {
    const auto log = other.must_open();
    fill(*log, 600, 60);
    ASSERT_TRUE(log->write_checkpoint());
  }
  const std::string checkpoint = folder.read(folder.path("checkpoint"));
  std::filesystem::remove_all(folder.path("tile"));
  std::filesystem::copy(other.path("tile"), folder.path("tile"),
                        std::filesystem::copy_options::recursive);
  EXPECT_EQ(folder.verify().error().code, ErrorCode::kDataLoss);
}

TEST_F(VerifyTest, APartialTileThatWentFullServesAsItsPrefix) {
  // A verifier that read the checkpoint just before the log grew and dropped the partial tiles.
  const std::string old_checkpoint = folder.read(folder.path("checkpoint"));
  {
    const auto log = folder.must_open();
    fill(*log, 300, 50);
    ASSERT_TRUE(log->write_checkpoint());
  }
  ASSERT_FALSE(std::filesystem::exists(folder.path("tile/0/002.p")));
  const auto read = [&](std::string_view path) -> Result<std::string> {
    if (path == "checkpoint") return old_checkpoint;
    return folder.reader()(path);
  };
  const auto report = verify_log(read, folder.key(), nullptr);
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(report->entries, 600u);
}

TEST_F(VerifyTest, OtherKeysOriginsAndReadErrorsComeThrough) {
  const auto other = crypto::SigningKey::from_seed(ByteArray<32>{9});
  EXPECT_EQ(verify_log(folder.reader(), log_key(folder.options.origin, other.public_key()), nullptr)
                .error()
                .code,
            ErrorCode::kDataLoss);
  EXPECT_EQ(verify_log(folder.reader(), log_key("elsewhere", folder.signer.public_key()), nullptr)
                .error()
                .code,
            ErrorCode::kInvalidArgument);
  const auto broken = [&](std::string_view path) -> Result<std::string> {
    if (path == "tile/0/001") return make_error(ErrorCode::kUnavailable, "away");
    return folder.reader()(path);
  };
  EXPECT_EQ(verify_log(broken, folder.key(), nullptr).error().code, ErrorCode::kUnavailable);
}

// The second reader: written in Python from docs/spec/log.md, it shares nothing with this code.
class PythonVerifierTest : public VerifyTest {
 protected:
  void SetUp() override {
    if (std::system("/usr/bin/python3 -c 'import cryptography' 2>/dev/null") != 0) {
      GTEST_SKIP() << "needs python3 and python3-cryptography";
    }
  }
  bool accepts() const {
    const std::string command =
        "/usr/bin/python3 -B " STRONGROOM_SOURCE_DIR "/tools/log_verify.py '" + folder.options.dir +
        "' '" + verifier_key(folder.options.origin, folder.signer.public_key()) +
        "' > /dev/null 2>&1";
    const int status = std::system(command.c_str());
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) <= 1) << "it broke down: " << status;
    return status == 0;
  }
};

TEST_F(PythonVerifierTest, AcceptsOurLog) {
  EXPECT_TRUE(accepts());
}

TEST_F(PythonVerifierTest, RefusesWhatWeRefuse) {
  for (const char* tile : {"tile/0/001", "tile/1/000.p/2", "tile/entries/000",
                           "tile/entries/002.p/88", "checkpoint"}) {
    const std::string path = folder.path(tile), bytes = folder.read(path);
    std::string damaged = bytes;
    damaged[bytes.size() / 2] = static_cast<char>(damaged[bytes.size() / 2] ^ 1);
    folder.write(path, damaged);
    EXPECT_FALSE(accepts()) << tile;
    std::filesystem::remove(path);
    EXPECT_FALSE(accepts()) << tile;
    folder.write(path, bytes);
  }
}

}  // namespace
}  // namespace strongroom::tlog
