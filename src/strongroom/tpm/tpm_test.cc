// Against a real TPM 2.0 in software.
#include "strongroom/tpm/tpm.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "strongroom/tpm/swtpm.h"

namespace strongroom::tpm {
namespace {

constexpr uint32_t kIndex = kNvFirst + 0x4711;

template <class S>
std::string bytes(const S& secret) {
  return std::string(as_text(secret.read(SecretAccess{})));
}
template <class S>
S filled(uint8_t byte) {
  ByteArray<32> out{};
  out.fill(byte);
  return S(out);
}

class TpmTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!swtpm_is_installed()) GTEST_SKIP() << "swtpm is not installed: apt-get install swtpm";
    dir_ = (std::filesystem::temp_directory_path() / "srtpm.XXXXXX").string();
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    start();
  }
  void TearDown() override {
    tpm_.reset();
    software_.reset();
    std::error_code ignored;
    if (!dir_.empty()) std::filesystem::remove_all(dir_, ignored);
  }
  void start() {
    tpm_.reset();
    software_.reset();
    auto software = Swtpm::start(dir_);
    ASSERT_TRUE(software) << software.error().text;
    software_ = *std::move(software);
    auto tpm = Tpm::open(software_->tcti());
    ASSERT_TRUE(tpm) << tpm.error().text;
    tpm_ = *std::move(tpm);
  }

  std::string dir_;
  std::unique_ptr<Swtpm> software_;
  std::unique_ptr<Tpm> tpm_;
};

TEST_F(TpmTest, WhatWasSealedIsOpenedByThisTpmAndNoOther) {
  const auto key = filled<SealingKey>(0x42);
  auto sealed = tpm_->seal(key);
  ASSERT_TRUE(sealed) << sealed.error().text;
  EXPECT_EQ(sealed->private_part.find(bytes(key)), std::string::npos);
  const auto opened = tpm_->unseal(*sealed);
  ASSERT_TRUE(opened) << opened.error().text;
  EXPECT_EQ(bytes(*opened), bytes(key));
  start();  // The machine was switched off and on.
  EXPECT_TRUE(tpm_->unseal(*sealed));
  for (const size_t at : {size_t{3}, sealed->private_part.size() / 2}) {
    SealedKey bad = *sealed;
    bad.private_part[at] = static_cast<char>(bad.private_part[at] ^ 1);
    EXPECT_EQ(tpm_->unseal(bad).error().code, ErrorCode::kDataLoss);
  }
  EXPECT_EQ(tpm_->unseal({}).error().code, ErrorCode::kDataLoss);
  SealedKey cut = *sealed;
  cut.public_part.resize(cut.public_part.size() / 2);
  EXPECT_EQ(tpm_->unseal(cut).error().code, ErrorCode::kDataLoss);
  std::filesystem::remove_all(dir_);
  std::filesystem::create_directory(dir_);
  start();
  EXPECT_EQ(tpm_->unseal(*sealed).error().code, ErrorCode::kDataLoss) << "a new TPM";
}

TEST_F(TpmTest, NvKeepsASecretUntilItIsReplacedOrDestroyed) {
  EXPECT_EQ(tpm_->read(kIndex).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(tpm_->destroy(kIndex)) << "there is none";
  ASSERT_TRUE(tpm_->write(kIndex, filled<NvSecret>(1)));
  ASSERT_TRUE(tpm_->write(kIndex + 1, filled<NvSecret>(2)));
  ASSERT_TRUE(tpm_->write(kIndex, filled<NvSecret>(3)));
  start();
  EXPECT_EQ(bytes(*tpm_->read(kIndex)), bytes(filled<NvSecret>(3)));
  ASSERT_TRUE(tpm_->destroy(kIndex));
  EXPECT_EQ(tpm_->read(kIndex).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(bytes(*tpm_->read(kIndex + 1)), bytes(filled<NvSecret>(2)));
}

// Handles that are not given back are few, and soon used up.
TEST_F(TpmTest, NothingIsUsedUpByUse) {
  for (int i = 0; i < 40; ++i) {
    const auto sealed = tpm_->seal(filled<SealingKey>(7));
    ASSERT_TRUE(sealed) << i;
    ASSERT_TRUE(tpm_->unseal(*sealed)) << i;
    EXPECT_FALSE(tpm_->unseal({"x", "y"}));
    ASSERT_TRUE(tpm_->write(kIndex, filled<NvSecret>(static_cast<uint8_t>(i)))) << i;
    ASSERT_TRUE(tpm_->read(kIndex)) << i;
  }
}

TEST(TpmAbsentTest, OneThatIsNotThereIsSaid) {
  for (const char* tcti :
       {"", "device:/dev/no-such-tpm", "swtpm:host=127.0.0.1,port=1", "nonsense"}) {
    const auto opened = Tpm::open(tcti);
    ASSERT_FALSE(opened) << tcti;
  }
}

}  // namespace
}  // namespace strongroom::tpm
