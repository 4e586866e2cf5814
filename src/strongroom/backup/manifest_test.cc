#include "strongroom/backup/manifest.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace strongroom::backup {
namespace {

const char kHash[] = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

v1::BackupManifest golden() {
  v1::BackupManifest manifest;
  manifest.set_format(1);
  manifest.set_part(v1::BackupManifest::KEYS);
  manifest.set_vault("000102030405060708090a0b0c0d0e0f");
  manifest.set_id("5b0c93a1e2d47f68");
  manifest.set_taken_ms(1'700'000'000'000);
  manifest.set_log_size(4242);
  manifest.set_store_manifest(kHash);
  v1::BackupFile& file = *manifest.add_files();
  file.set_name("keyserver/state/state-0000000000000007");
  file.set_bytes(4096);
  file.set_sha256(kHash);
  file.set_source(uint64_t{1} << 63);
  manifest.add_before("0000000000000001");
  return manifest;
}

TEST(ManifestTest, TheGoldenFileIsReadAndWrittenAsItStands) {
  std::ifstream in(STRONGROOM_SOURCE_DIR "/test/golden/backup_manifest_v1.json");
  std::stringstream text;
  text << in.rdbuf();
  const auto read = parse_manifest(text.str());
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(read->SerializeAsString(), golden().SerializeAsString());
  EXPECT_EQ(format_manifest(golden()), text.str());
}

TEST(ManifestTest, NamesLeadNowhereElse) {
  using Manifest = v1::BackupManifest;
  for (const char* name : {"store/000123.sst", "store/CURRENT", "store/MANIFEST-000004"}) {
    EXPECT_TRUE(is_file_name(Manifest::STORE, name)) << name;
    EXPECT_FALSE(is_file_name(Manifest::KEYS, name)) << name;
  }
  for (const char* name : {"keyserver/vault.json", "keyserver/log/entries-00000000.log",
                           "keyserver/state/state-0000000000000007"}) {
    EXPECT_TRUE(is_file_name(Manifest::KEYS, name)) << name;
    EXPECT_FALSE(is_file_name(Manifest::STORE, name)) << name;
  }
  for (const char* name :
       {"", "store/", "store/..", "store/../keyserver/vault.json", "store/a/b", "/etc/passwd",
        "store/.hidden", "../store/a", "gateway/term.key", "store/a b", "store//a"}) {
    EXPECT_FALSE(is_file_name(Manifest::STORE, name)) << name;
  }
  for (const char* name : {"keyserver/log/../ca.key", "keyserver/log/log/a", "keyserver/x/y",
                           "keyserver", "keyserver/state/.."}) {
    EXPECT_FALSE(is_file_name(Manifest::KEYS, name)) << name;
  }
}

TEST(ManifestTest, WhatNoBackupHoldsIsRefused) {
  const auto refused = [](const auto& change) {
    v1::BackupManifest manifest = golden();
    change(manifest);
    const auto read = parse_manifest(format_manifest(manifest));
    return !read && read.error().code == ErrorCode::kDataLoss;
  };
  EXPECT_FALSE(refused([](v1::BackupManifest&) {}));
  EXPECT_TRUE(refused([](v1::BackupManifest& m) { m.set_format(0); }));
  EXPECT_TRUE(refused([](v1::BackupManifest& m) { m.clear_part(); }));
  EXPECT_TRUE(refused([](v1::BackupManifest& m) { m.set_vault("00"); }));
  EXPECT_TRUE(refused([](v1::BackupManifest& m) { m.set_id("../../etc/pass"); }));
  EXPECT_TRUE(refused([](v1::BackupManifest& m) { m.add_before("x"); }));
  EXPECT_TRUE(refused([](v1::BackupManifest& m) { m.clear_store_manifest(); }));
  EXPECT_TRUE(refused([](v1::BackupManifest& m) { m.mutable_files(0)->set_sha256("../x"); }));
  EXPECT_TRUE(refused([](v1::BackupManifest& m) { *m.add_files() = m.files(0); }))
      << "a name stands for one file";
  for (const char* text : {"", "{", "[]", "null", "{\"format\":1}", "{\"unknown\":1}"}) {
    EXPECT_FALSE(parse_manifest(text)) << text;
  }
  v1::BackupManifest newer = golden();
  newer.set_format(2);
  EXPECT_EQ(parse_manifest(format_manifest(newer)).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_FALSE(parse_manifest(std::string(kManifestBytesMax + 1, ' ')));
}

}  // namespace
}  // namespace strongroom::backup
