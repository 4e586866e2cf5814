#include "strongroom/intake/source.h"

#include <gtest/gtest.h>

#include <unistd.h>
#include <filesystem>
#include <fstream>

namespace strongroom::intake {
namespace {

std::string sample(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 131 >> 3);
  return text;
}

// The definition in the header, written down once more without any window.
crypto::Digest expected_digest(std::string_view all, uint64_t offset) {
  crypto::Digest chain{};
  size_t at = 0;
  for (; at + 65536 <= offset; at += 65536)
    chain = crypto::sha256({chain, as_bytes(all.substr(at, 65536))});
  std::string be;
  append_be(be, offset, 8);
  return crypto::sha256(
      {as_bytes("SR1 source"), as_bytes(be), chain, as_bytes(all.substr(at, offset - at))});
}

TEST(SourceTest, HandsOutEveryByteAndNoMoreThanAChunkAtATime) {
  const std::string all = sample(200'000);
  auto source = ByteSource::from_text(all);
  ASSERT_TRUE(source);
  EXPECT_EQ(as_text((*source)->head()), all.substr(0, ByteSource::kChunk));
  std::string got;
  for (;;) {
    auto bytes = (*source)->read();
    ASSERT_TRUE(bytes);
    if (bytes->empty()) break;
    EXPECT_LE(bytes->size(), ByteSource::kChunk);
    append(got, *bytes);
    (*source)->release((*source)->offset());
  }
  EXPECT_EQ(got, all);
}

TEST(SourceTest, DigestFollowsItsDefinitionWhateverWasReleased) {
  const std::string all = sample(200'000);
  for (uint64_t released : {0u, 65535u, 65536u, 140'000u}) {
    auto source = ByteSource::from_text(all);
    ASSERT_TRUE(source);
    while (!(*source)->read()->empty()) {
    }
    (*source)->release(released);
    for (uint64_t offset : {140'001u, 196'608u, 200'000u}) {
      EXPECT_EQ((*source)->digest_at(offset), expected_digest(all, offset))
          << released << " " << offset;
    }
  }
  auto empty = ByteSource::from_text("");
  EXPECT_EQ((*empty)->digest_at(0), expected_digest("", 0));
}

TEST(SourceTest, ShortReadsOfAPipeChangeNothing) {
  const std::string all = sample(150'000);
  size_t at = 0;
  auto source = ByteSource::from_pull([&](MutableBytes out) -> Result<size_t> {
    const size_t n = std::min({out.size(), all.size() - at, size_t{1} + at % 777});
    memcpy(out.data(), all.data() + at, n);
    at += n;
    return n;
  });
  ASSERT_TRUE(source);
  while (!(*source)->read()->empty()) {
  }
  EXPECT_EQ((*source)->digest_at(all.size()), expected_digest(all, all.size()));
}

TEST(SourceTest, SkipGoesOnBehindTheSameBytesOnly) {
  const std::string all = sample(200'000);
  const crypto::Digest digest = expected_digest(all, 150'000);
  const auto ignore = [](Bytes) {};
  auto same = ByteSource::from_text(all);
  ASSERT_TRUE((*same)->skip(0, 150'000, digest, ignore));
  EXPECT_EQ(as_text(*(*same)->read()), all.substr(150'000, 196'608 - 150'000));

  std::string changed = all;
  changed[10] ^= 1;
  auto other = ByteSource::from_text(changed);
  EXPECT_EQ((*other)->skip(0, 150'000, digest, ignore).error().code,
            ErrorCode::kFailedPrecondition);
  auto shorter = ByteSource::from_text(all.substr(0, 149'999));
  EXPECT_EQ((*shorter)->skip(0, 150'000, digest, ignore).error().code,
            ErrorCode::kFailedPrecondition);
}

TEST(SourceTest, FilesAreReadAndAbsentOnesAndFoldersAreErrors) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("source_test." + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "a.csv") << "a,b\n";
  auto source = ByteSource::open((folder / "a.csv").string());
  ASSERT_TRUE(source);
  EXPECT_EQ(as_text(*(*source)->read()), "a,b\n");
  EXPECT_EQ(ByteSource::open((folder / "none").string()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ByteSource::open(folder.string()).error().code, ErrorCode::kInvalidArgument);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace strongroom::intake
