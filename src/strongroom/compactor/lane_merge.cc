#include "strongroom/compactor/lane_merge.h"

#include <algorithm>

#include "strongroom/compactor/lane_reader.h"
#include "strongroom/compactor/pace.h"
#include "strongroom/compactor/versions.h"
#include "strongroom/index/lane_packer.h"

namespace strongroom::compactor {
namespace {

constexpr size_t kSpoolStep = size_t{1} << 16;

}  // namespace

Result<Merged> merge_lanes(store::Store& store, CollectionId collection,
                           std::span<const MergeSource> sources, LaneId target, LaneRoot root,
                           uint64_t postings_max, Pace& pace, const index::PackerMemory& memory,
                           store::SortedRun& postings, store::SortedRun& directory) {
  Merged out;
  uint64_t sum = 0;
  for (const MergeSource& source : sources) {
    SR_ASSIGN(const uint64_t count, LaneReader(store, source.lane, source.root, pace).count());
    out.postings[source.lane] = count;
    if (sum + count > postings_max) continue;
    sum += count;
    out.sources.push_back(source.lane);
  }
  // Half for the target, half for the source that is being read.
  const index::PackerMemory half{memory.folder, memory.bytes_max / 2};
  index::LanePacker packer(target, std::move(root), half);
  packer.reserve(sum);
  Versions versions(store, collection);
  for (const MergeSource& source : sources) {
    if (std::find(out.sources.begin(), out.sources.end(), source.lane) == out.sources.end()) {
      continue;
    }
    SR_TRY(LaneReader(store, source.lane, source.root, pace, half)
               .read(versions,
                     [&](const TermHash& term, const index::Posting& posting) -> Result<void> {
                       packer.add(term, posting);
                       return packer.size() % kSpoolStep == 0 ? packer.keep_within_limit()
                                                              : Result<void>();
                     }));
  }
  out.kept = packer.size();
  uint64_t unpaced = 0;
  const auto write_to = [&](store::SortedRun& run) {
    return [&](std::string_view key, std::string_view value) {
      unpaced += value.size() / index::kSingleSize;
      if (unpaced >= kPaceStep) pace.spend(std::exchange(unpaced, 0));
      return run.add(key, value);
    };
  };
  SR_TRY(packer.finish(write_to(postings), write_to(directory)));
  return out;
}

}  // namespace strongroom::compactor
