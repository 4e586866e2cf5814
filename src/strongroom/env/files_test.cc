#include "strongroom/env/files.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "strongroom/env/faulty_files.h"

namespace strongroom::env {
namespace {

class FilesTest : public testing::Test {
 protected:
  FilesTest() : dir_(testing::TempDir() + "sr-files-XXXXXX") {
    EXPECT_NE(mkdtemp(dir_.data()), nullptr);
  }
  ~FilesTest() override { std::filesystem::remove_all(dir_); }

  std::string path(const char* name) const { return dir_ + "/" + name; }
  std::string content(const char* name) {
    auto text = files_.read(path(name), 1 << 20);
    return text ? *text : "<" + std::string(error_code_name(text.error().code)) + ">";
  }
  mode_t mode_of(const char* name) {
    struct stat info {};
    EXPECT_EQ(stat(path(name).c_str(), &info), 0);
    return info.st_mode & 0777;
  }

  std::string dir_;
  Files& files_ = real_files();
};

TEST_F(FilesTest, AppendsBehindTheOffsetAndCutsTheRest) {
  {
    auto file = files_.open_append(path("log"), 0, 0);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->append(as_bytes("hello world")));
    ASSERT_TRUE((*file)->sync());
    EXPECT_EQ((*file)->size(), 11u);
  }
  auto file = files_.open_append(path("log"), 5, 0);
  ASSERT_TRUE(file);
  EXPECT_EQ(content("log"), "hello");
  ASSERT_TRUE((*file)->append(as_bytes("!")));
  EXPECT_EQ(content("log"), "hello!");
  EXPECT_EQ(mode_of("log"), 0600u);
}

TEST_F(FilesTest, PreallocatesZerosInStepsSoThatAppendsDoNotGrowTheFile) {
  auto file = files_.open_append(path("log"), 0, 4096);
  ASSERT_TRUE(file);
  EXPECT_EQ(*files_.file_size(path("log")), 4096u);
  ASSERT_TRUE((*file)->append(as_bytes(std::string(4000, 'a'))));
  EXPECT_EQ(*files_.file_size(path("log")), 4096u);
  ASSERT_TRUE((*file)->append(as_bytes(std::string(200, 'b'))));
  EXPECT_EQ(*files_.file_size(path("log")), 8192u);
  EXPECT_EQ((*file)->size(), 4200u);
  EXPECT_EQ(content("log"),
            std::string(4000, 'a') + std::string(200, 'b') + std::string(8192 - 4200, '\0'));

  file = files_.open_append(path("log"), 10, 4096);
  ASSERT_TRUE(file);
  EXPECT_EQ(content("log"), std::string(10, 'a') + std::string(4086, '\0'))
      << "what was cut is zeros again, not old bytes";
}

TEST_F(FilesTest, AppendsOfEverySizeReadBackWhereverTheFileIsOpenedAgain) {
  // Around the 4 KiB blocks that are written past the page cache, and the steps of zeros.
  constexpr uint64_t kStep = 16384;
  const std::string log = path("log");
  std::string whole;
  char next = 'a';
  for (const size_t again : {0, 1, 4095, 4096, 4097, 9000, 30000}) {
    // Half of what was written since the last round is cut, as recovery cuts a torn tail.
    whole.resize(whole.size() - std::min<size_t>(whole.size(), again / 2));
    const auto file = files_.open_append(log, whole.size(), kStep);
    ASSERT_TRUE(file);
    for (const size_t size : {1, 4094, 1, 4096, 8192, 5000, 70000, 3}) {
      const std::string piece(size, next);
      next = next == 'z' ? 'a' : static_cast<char>(next + 1);
      ASSERT_TRUE((*file)->append(as_bytes(piece)));
      whole += piece;
      ASSERT_EQ((*file)->size(), whole.size());
    }
    ASSERT_TRUE((*file)->sync());
    const auto read = files_.read(log, 1 << 24);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->size() % kStep, 0u);
    EXPECT_EQ(read->substr(0, whole.size()), whole);
    EXPECT_EQ(read->find_first_not_of('\0', whole.size()), std::string::npos);
  }
}

TEST_F(FilesTest, AFileShorterThanItsOffsetIsDataLoss) {
  ASSERT_TRUE(files_.write_atomic(path("log"), as_bytes("abc")));
  EXPECT_EQ(files_.open_append(path("log"), 4, 0).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(content("log"), "abc");
}

TEST_F(FilesTest, ALinkIsNotAppendedTo) {
  ASSERT_TRUE(files_.write_atomic(path("target"), as_bytes("abc")));
  ASSERT_EQ(symlink(path("target").c_str(), path("link").c_str()), 0);
  EXPECT_EQ(files_.open_append(path("link"), 0, 0).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(content("target"), "abc");
}

TEST_F(FilesTest, ReadRefusesWhatIsLargerThanAllowed) {
  ASSERT_TRUE(files_.write_atomic(path("f"), as_bytes("12345")));
  EXPECT_EQ(*files_.read(path("f"), 5), "12345");
  EXPECT_EQ(files_.read(path("f"), 4).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(files_.read("/dev/zero", 100'000).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(files_.read(path("none"), 4).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(*files_.read("/dev/null", 4), "");
}

TEST_F(FilesTest, ReadRangeEndsWithTheFileAndTrustsNoSize) {
  ASSERT_TRUE(files_.write_atomic(path("f"), as_bytes("0123456789")));
  EXPECT_EQ(*files_.read_range(path("f"), 3, 4), "3456");
  EXPECT_EQ(*files_.read_range(path("f"), 8, ~uint64_t{0}), "89");
  EXPECT_EQ(*files_.read_range(path("f"), 10, 1), "");
  EXPECT_EQ(*files_.read_range(path("f"), ~uint64_t{0}, 1), "");
}

TEST_F(FilesTest, WriteAtomicReplacesSetsTheModeAndLeavesNoTemporaryFile) {
  ASSERT_TRUE(files_.write_atomic(path("f"), as_bytes("old")));
  std::ofstream(path("f.tmp")) << "left by a crash, longer than what follows";
  ASSERT_TRUE(files_.write_atomic(path("f"), as_bytes("new"), 0644));
  EXPECT_EQ(content("f"), "new");
  EXPECT_EQ(mode_of("f"), 0644u);
  EXPECT_EQ(*files_.list(dir_), std::vector<std::string>{"f"});
  EXPECT_EQ(files_.write_atomic(path("none/f"), as_bytes("x")).error().code, ErrorCode::kNotFound);
}

TEST_F(FilesTest, FoldersAreMadeListedAndRemoved) {
  ASSERT_TRUE(files_.make_dirs(path("a/b/c")));
  ASSERT_TRUE(files_.make_dirs(path("a/b/c")));
  ASSERT_TRUE(files_.make_dirs(path("a/b/d/")));
  EXPECT_EQ(mode_of("a/b"), 0700u);
  ASSERT_TRUE(files_.write_atomic(path("a/f"), {}));
  EXPECT_EQ(files_.make_dirs(path("a/f")).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(files_.make_dirs(path("a/f/g")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(*files_.list(path("a/b")), (std::vector<std::string>{"c", "d"}));
  EXPECT_TRUE(*files_.exists(path("a/b/c")));
  ASSERT_TRUE(files_.remove(path("a/b/c")));
  ASSERT_TRUE(files_.remove(path("a/b/c"))) << "absent is fine";
  ASSERT_TRUE(files_.sync_dir(path("a/b")));
  EXPECT_FALSE(*files_.exists(path("a/b/c")));
  EXPECT_EQ(files_.list(path("a/b/c")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(files_.file_size(path("a/b/c")).error().code, ErrorCode::kNotFound);
}

TEST_F(FilesTest, AFullDiskIsNoSpaceAndLosesNothingWrittenBefore) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // RLIMIT_FSIZE stands in for the full disk: no privilege needed.
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{6000, 6000};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(1);
    auto file = files_.open_append(path("log"), 0, 0);
    if (!file || !(*file)->append(as_bytes(std::string(5000, 'a'))) || !(*file)->sync()) _exit(2);
    const auto full = (*file)->append(as_bytes(std::string(5000, 'b')));
    if (full || full.error().code != ErrorCode::kNoSpace) _exit(3);
    if ((*file)->size() != 5000 || !(*file)->append(as_bytes("c")) || !(*file)->sync()) _exit(4);
    const auto atomic = files_.write_atomic(path("f"), as_bytes(std::string(7000, 'x')));
    if (atomic || atomic.error().code != ErrorCode::kNoSpace) _exit(5);
    _exit(*files_.exists(path("f")) || *files_.exists(path("f.tmp")) ? 6 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "step " << WEXITSTATUS(status);
  EXPECT_EQ(content("log").substr(0, 5001), std::string(5000, 'a') + "c");
}

TEST_F(FilesTest, ACrashDropsWhatWasNotSyncedAndKillsOpenFiles) {
  FaultyFiles faulty(files_);
  auto file = faulty.open_append(path("log"), 0, 4096);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->append(as_bytes("durable")));
  ASSERT_TRUE((*file)->sync());
  ASSERT_TRUE((*file)->append(as_bytes(" and lost")));
  ASSERT_TRUE(faulty.crash(4));
  EXPECT_EQ(content("log"), "durable and" + std::string(4096 - 11, '\0')) << "four bytes torn off";
  EXPECT_FALSE((*file)->append(as_bytes("x")));
  EXPECT_FALSE((*file)->sync());

  auto again = faulty.open_append(path("log"), 7, 4096);
  ASSERT_TRUE(again);
  ASSERT_TRUE((*again)->append(as_bytes("!")));
  ASSERT_TRUE((*again)->sync());
  EXPECT_EQ(content("log").substr(0, 9), std::string("durable!\0", 9));
}

TEST_F(FilesTest, ACrashBringsBackWhatWasRemovedUnlessTheFolderWasSynced) {
  FaultyFiles faulty(files_);
  ASSERT_TRUE(faulty.write_atomic(path("a"), as_bytes("A")));
  ASSERT_TRUE(faulty.remove(path("a")));
  ASSERT_TRUE(faulty.crash());
  EXPECT_EQ(content("a"), "A");
  ASSERT_TRUE(faulty.remove(path("a")));
  ASSERT_TRUE(faulty.sync_dir(dir_));
  ASSERT_TRUE(faulty.crash());
  EXPECT_EQ(content("a"), "<not_found>");
}

TEST_F(FilesTest, FaultsFireAtTheirCallAndOnce) {
  FaultyFiles faulty(files_);
  auto file = faulty.open_append(path("log"), 0, 0);
  ASSERT_TRUE(file);
  faulty.fail_append(2, ErrorCode::kNoSpace);
  ASSERT_TRUE((*file)->append(as_bytes("a")));
  EXPECT_EQ((*file)->append(as_bytes("b")).error().code, ErrorCode::kNoSpace);
  ASSERT_TRUE((*file)->append(as_bytes("c")));
  EXPECT_EQ(content("log"), "ac");

  faulty.set_space(3);
  ASSERT_TRUE((*file)->append(as_bytes("123")));
  EXPECT_EQ((*file)->append(as_bytes("4")).error().code, ErrorCode::kNoSpace);

  faulty.fail_sync(1, ErrorCode::kUnavailable);
  EXPECT_FALSE((*file)->sync());
  EXPECT_FALSE((*file)->sync()) << "never synced again";
  EXPECT_FALSE((*file)->append(as_bytes("5")));

  ASSERT_TRUE(faulty.crash());
  faulty.fail_write_atomic(1, ErrorCode::kNoSpace);
  EXPECT_FALSE(faulty.write_atomic(path("f"), as_bytes("1")));
  EXPECT_EQ(content("f"), "<not_found>");
  faulty.fail_write_atomic(1, ErrorCode::kUnavailable, true);
  EXPECT_FALSE(faulty.write_atomic(path("f"), as_bytes("2")));
  EXPECT_EQ(content("f"), "2");

  auto cut = faulty.open_append(path("cut"), 0, 0);
  ASSERT_TRUE(cut);
  faulty.cut_append(1, 2);
  EXPECT_FALSE((*cut)->append(as_bytes("abcd")));
  EXPECT_EQ(content("cut"), "ab");
  EXPECT_EQ((*cut)->size(), 0u);
}

TEST_F(FilesTest, StoppingAtEachOperationReachesEachPointOfASequence) {
  FaultyFiles faulty(files_);
  const auto sequence = [&]() -> Result<void> {
    SR_TRY(faulty.write_atomic(path("one"), as_bytes("1")));
    SR_ASSIGN(auto file, faulty.open_append(path("log"), 0, 0));
    SR_TRY(file->append(as_bytes("2")));
    return file->sync();
  };
  uint64_t stop = 0;
  for (bool stopped = true; stopped;) {
    faulty.stop_at(++stop);
    stopped = !sequence();
    EXPECT_EQ(stopped, faulty.operations() >= stop);
    EXPECT_EQ(content("one"), stop > 1 ? "1" : "<not_found>");
    ASSERT_TRUE(faulty.crash());
    EXPECT_EQ(content("log"), stop <= 2 ? "<not_found>" : stop <= 4 ? "" : "2");
    std::filesystem::remove(path("one"));
    std::filesystem::remove(path("log"));
  }
  EXPECT_EQ(stop, 5u);
}

}  // namespace
}  // namespace strongroom::env
