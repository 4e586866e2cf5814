#include "strongroom/keyserver/release_chains.h"

#include <algorithm>

#include "strongroom/base/check.h"

namespace strongroom::keyserver {
namespace {

constexpr uint64_t kPage = 16;
constexpr int kCountBits = 28;

}  // namespace

RecordReleases ReleaseChains::of(RecordIndex idx) const {
  const auto page = pages_.find(idx.value / kPage);
  if (page == pages_.end()) return {};
  const uint64_t packed = page->second[idx.value % kPage];
  return {static_cast<uint32_t>(packed & kCountMax), packed >> kCountBits};
}

void ReleaseChains::add(RecordIndex idx, uint64_t leaf) {
  SR_CHECK(leaf <= kLeafMax, "a leaf fits its field");
  uint64_t& packed = pages_[idx.value / kPage][idx.value % kPage];
  packed = leaf << kCountBits | std::min<uint64_t>((packed & kCountMax) + 1, kCountMax);
}

}  // namespace strongroom::keyserver
