#include "strongroom/backup/part.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "strongroom/env/files.h"

namespace strongroom::backup {
namespace {

namespace fs = std::filesystem;

class PartTest : public testing::Test {
 protected:
  PartTest() {
    std::string path = (fs::temp_directory_path() / "srbk.XXXXXX").string();
    SR_CHECK(mkdtemp(path.data()) != nullptr, "a temporary folder");
    base_ = path;
    fs::create_directory(base_ + "/from");
    fs::create_directory(base_ + "/from/store");
  }
  ~PartTest() override { fs::remove_all(base_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(base_ + "/from/" + name) << text;
  }
  v1::BackupManifest head(const std::string& id) const {
    v1::BackupManifest manifest;
    manifest.set_part(v1::BackupManifest::STORE);
    manifest.set_vault("000102030405060708090a0b0c0d0e0f");
    manifest.set_id(id);
    return manifest;
  }
  std::unique_ptr<PartWriter> writer(const std::string& id) {
    auto opened = PartWriter::open(env::real_files(), dir(), head(id));
    SR_CHECK(opened.has_value(), "a part");
    return *std::move(opened);
  }
  // Adds all files there are.
  void add_all(PartWriter& part) {
    for (const auto& entry : fs::directory_iterator(base_ + "/from/store")) {
      const auto source = SourceFile::open(entry.path().string());
      ASSERT_TRUE(source);
      ASSERT_TRUE(
          part.add(*source, "store/" + entry.path().filename().string(), source->size(), {}));
    }
  }
  void take(const std::string& id) {
    const auto part = writer(id);
    add_all(*part);
    ASSERT_TRUE(part->finish());
    ASSERT_TRUE(part->sweep());
    const auto known = PartWriter::open(env::real_files(), dir(), head(id));
    ASSERT_TRUE(known);
    for (const std::string& before : part->before()) {
      EXPECT_TRUE((*known)->before().contains(before)) << "cut off here, it is still to be told";
    }
    ASSERT_TRUE(part->done());
    written_ = part->bytes_written();
  }
  // The one of the youngest id.
  Result<v1::BackupManifest> manifest() const {
    const auto names = list_manifests(env::real_files(), dir());
    SR_CHECK(names.has_value() && !names->empty(), "a whole part");
    return load_manifest(env::real_files(), dir() + "/" + names->back());
  }
  std::vector<std::string> damaged() {
    std::vector<std::string> names;
    const auto whole = manifest();
    SR_CHECK(whole.has_value(), "a manifest");
    SR_CHECK(verify_part(*whole, dir(),
                         [&](const v1::BackupFile& file) { names.push_back(file.name()); }, {})
                 .has_value(),
             "a part that is read");
    return names;
  }
  size_t objects() const {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(dir() + "/files")) ++count;
    return count;
  }
  std::string dir() const { return base_ + "/to"; }
  std::string object(const std::string& name) const {
    const auto whole = manifest();
    for (const auto& file : whole->files()) {
      if (file.name() == name) return dir() + "/files/" + file.sha256();
    }
    return {};
  }

  std::string base_;
  uint64_t written_ = 0;
};

const char kFirst[] = "0000000000000001", kSecond[] = "0000000000000002";

TEST_F(PartTest, OnlyWhatIsNewIsCopiedAndWhatIsGoneIsRemoved) {
  write("store/1.sst", std::string(1000, 'a'));
  write("store/2.sst", std::string(2000, 'b'));
  take(kFirst);
  EXPECT_EQ(written_, 3000u);
  EXPECT_TRUE(damaged().empty());
  fs::remove(base_ + "/from/store/1.sst");
  write("store/3.sst", std::string(500, 'c'));
  take(kSecond);
  EXPECT_EQ(written_, 500u);
  EXPECT_EQ(objects(), 2u);
  EXPECT_TRUE(damaged().empty());
  EXPECT_FALSE(fs::exists(dir() + "/unfinished.json"));
}

// RocksDB numbers files anew in a vault that was restored: the same name, other bytes.
TEST_F(PartTest, AnotherFileOfTheSameNameAndSizeIsNotTakenForIt) {
  write("store/1.sst", std::string(1000, 'a'));
  take(kFirst);
  fs::remove(base_ + "/from/store/1.sst");
  write("store/other", "");  // So that the inode is another.
  write("store/1.sst", std::string(1000, 'z'));
  take(kSecond);
  EXPECT_GE(written_, 1000u);
  std::ifstream in(object("store/1.sst"));
  EXPECT_EQ(in.get(), 'z');
}

TEST_F(PartTest, UntilAllIsThereThePointOfRestoreIsTheOneBefore) {
  write("store/1.sst", std::string(1000, 'a'));
  take(kFirst);
  fs::remove(base_ + "/from/store/1.sst");
  write("store/2.sst", std::string(2000, 'b'));
  {
    const auto cut_off = writer(kSecond);
    add_all(*cut_off);
  }
  EXPECT_EQ(manifest()->id(), kFirst);
  EXPECT_TRUE(damaged().empty());
  const auto next = writer("0000000000000003");
  EXPECT_EQ(next->before(), (std::set<std::string>{kFirst, kSecond})) << "both had keys";
  EXPECT_EQ(writer("0000000000000004")->before().size(), 3u);
}

TEST_F(PartTest, EachDamagedFileIsNamed) {
  write("store/1.sst", std::string(1000, 'a'));
  write("store/2.sst", std::string(2000, 'b'));
  take(kFirst);
  {
    std::fstream file(object("store/1.sst"), std::ios::in | std::ios::out);
    file.seekp(999);
    file.put('b');
  }
  EXPECT_EQ(damaged(), std::vector<std::string>{"store/1.sst"});
  fs::remove(object("store/2.sst"));
  EXPECT_EQ(damaged().size(), 2u);
  std::string at;
  const auto whole = manifest();
  const auto restored = restore_part(env::real_files(), *whole, dir(), base_ + "/back", {}, &at);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, ErrorCode::kDataLoss);
  EXPECT_NE(at.find(dir() + "/files/"), std::string::npos);
  // What is removed is copied anew by the next.
  fs::remove(object("store/1.sst"));
  take(kSecond);
  EXPECT_TRUE(damaged().empty());
}

TEST_F(PartTest, RestoredIsWhatWasCopiedAndARestoreThatWasCutOffGoesOn) {
  write("store/1.sst", std::string(3 << 20, 'a'));
  write("store/2.sst", "short");
  take(kFirst);
  const auto whole = manifest();
  std::string at;
  fs::create_directories(base_ + "/back/store");
  std::ofstream(base_ + "/back/store/1.sst") << std::string(3 << 20, 'x');  // Whole, but wrong.
  ASSERT_TRUE(restore_part(env::real_files(), *whole, dir(), base_ + "/back", {}, &at));
  for (const char* name : {"/store/1.sst", "/store/2.sst"}) {
    std::ifstream a(base_ + "/from" + name), b(base_ + "/back" + name);
    EXPECT_TRUE(
        std::equal(std::istreambuf_iterator<char>(a), {}, std::istreambuf_iterator<char>(b), {}));
  }
}

TEST_F(PartTest, AFolderOfSomethingElseIsLeftAlone) {
  fs::create_directories(dir());
  std::ofstream(dir() + "/precious") << "x";
  const auto refused = PartWriter::open(env::real_files(), dir(), head(kFirst));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kAlreadyExists);
  fs::remove(dir() + "/precious");
  write("store/1.sst", "a");
  take(kFirst);
  v1::BackupManifest other = head(kSecond);
  other.set_vault("ff0102030405060708090a0b0c0d0e0f");
  EXPECT_FALSE(PartWriter::open(env::real_files(), dir(), other));
}

TEST_F(PartTest, NoLinkIsFollowed) {
  write("secret", "x");
  fs::create_symlink(base_ + "/from/secret", base_ + "/from/store/1.sst");
  EXPECT_FALSE(SourceFile::open(base_ + "/from/store/1.sst"));
}

}  // namespace
}  // namespace strongroom::backup
