#include "strongroom/compactor/compactor.h"

#include <string.h>  // explicit_bzero

#include <algorithm>
#include <set>

#include "strongroom/index/postings.h"

namespace strongroom::compactor {
namespace {

// Of files, for a posting. Too few postings is better than too many: when lanes turn out not to fit
// together, some are left out.
constexpr uint64_t kBytesPerSingle = 43;
constexpr uint64_t kBytesPerPacked = 10;

Error malformed_reply() {
  return make_error(ErrorCode::kInternal, "the key server's answer does not fit what it was asked");
}

void wipe(std::string& bytes) {
  explicit_bzero(bytes.data(), bytes.size());
}

}  // namespace

Compactor::Compactor(Keys& keys, StoreAccess& store, Pace& pace, std::string credential,
                     CompactorOptions options)
    : keys_(keys),
      store_(store),
      pace_(pace),
      credential_(std::move(credential)),
      options_(std::move(options)) {
  auto& most = options_.rules.postings_max;
  // A term of a lane may have so many, and a lane might be of one term.
  if (most == 0 || most > index::kTermPostingsMax) most = index::kTermPostingsMax;
}

Compactor::~Compactor() {
  wipe(credential_);
}

Result<bool> Compactor::run_once() {
  SR_ASSIGN(const auto work, find_work());
  if (!work) return false;
  const auto merged = merge(*work);
  if (!merged && merged.error().code == ErrorCode::kDataLoss) damaged_.insert(work->collection);
  SR_TRY(merged);
  return true;
}

Result<std::optional<Compactor::Work>> Compactor::find_work() {
  v1::Call call;
  call.mutable_list_lanes();
  SR_ASSIGN(const v1::Reply reply, keys_.call(std::move(call)));
  std::map<CollectionId, std::vector<LaneId>> by_collection;
  std::map<LaneId, uint64_t> known;
  std::set<LaneId> online;
  for (const auto& lane : reply.list_lanes().lanes()) {
    const LaneId id{lane.lane()};
    if (const auto it = known_.find(id); it != known_.end()) known.insert(*it);
    if (!lane.packed()) online.insert(id);
    if (lane.searched() && lane.closed() && !lane.history()) {
      by_collection[CollectionId{lane.collection()}].push_back(id);
    }
  }
  known_ = std::move(known);  // Without those that are gone.
  for (const auto& [collection, lanes] : by_collection) {
    const bool few = lanes.size() <= options_.rules.lanes_max &&
                     std::none_of(lanes.begin(), lanes.end(),
                                  [&](LaneId lane) { return online.contains(lane); });
    if (few || damaged_.contains(collection)) continue;
    SR_ASSIGN(const auto bytes, store_.measure(lanes));
    if (bytes.size() != lanes.size()) return malformed_reply();
    std::vector<LaneSize> sizes;
    for (size_t i = 0; i < lanes.size(); ++i) {
      const auto it = known_.find(lanes[i]);
      const bool is_online = online.contains(lanes[i]);
      const uint64_t about = bytes[i] / (is_online ? kBytesPerSingle : kBytesPerPacked);
      sizes.push_back({lanes[i], it != known_.end() ? it->second : about, is_online});
    }
    auto chosen = choose_merge(std::move(sizes), options_.rules);
    if (!chosen.empty()) return std::optional<Work>({collection, std::move(chosen)});
  }
  return std::optional<Work>();
}

Result<void> Compactor::merge(const Work& work) {
  v1::Call call;
  auto& begin = *call.mutable_begin_merge();
  begin.set_credential(credential_);
  begin.set_collection(work.collection.value);
  for (const LaneId source : work.sources) begin.add_sources(source.value);
  SR_ASSIGN(v1::Reply reply, keys_.call(std::move(call)));
  auto& begun = *reply.mutable_begin_merge();
  if (begun.lane() == 0 || begun.lane() > kLaneMax || begun.root().size() != LaneRoot::kSize ||
      begun.source_roots().size() != work.sources.size() * LaneRoot::kSize) {
    wipe(*begun.mutable_root());
    wipe(*begun.mutable_source_roots());
    return malformed_reply();
  }
  const LaneId target{begun.lane()};
  LaneRoot root(as_bytes(begun.root()).first<32>());
  std::vector<MergeSource> sources;
  for (size_t i = 0; i < work.sources.size(); ++i) {
    sources.push_back(
        {work.sources[i],
         LaneRoot(as_bytes(begun.source_roots()).subspan(i * LaneRoot::kSize).first<32>())});
  }
  wipe(*begun.mutable_root());
  wipe(*begun.mutable_source_roots());

  const auto merged = [&]() -> Result<std::vector<LaneId>> {
    // Behind the call: what it was answered for is in the copy.
    SR_ASSIGN(const auto frozen, store_.freeze());
    SR_ASSIGN(auto postings, store_.begin_run(store::Table::kPostings));
    SR_ASSIGN(auto directory, store_.begin_run(store::Table::kDirectory));
    SR_ASSIGN(last_, merge_lanes(*frozen, work.collection, sources, target, std::move(root),
                                 options_.rules.postings_max, pace_, options_.memory, *postings,
                                 *directory));
    for (const auto& [lane, count] : last_.postings) known_[lane] = count;
    // Of several one alone fits the limit: it would be moved for nothing.
    if (last_.sources.empty() || (last_.sources.size() == 1 && sources.size() > 1)) {
      return std::vector<LaneId>();
    }
    SR_TRY(store_.ingest(target, std::move(postings), std::move(directory)));
    return last_.sources;
  }();
  sources.clear();  // Wiped.
  if (!merged) {
    // The target's root is of no use any more. If this fails, the next merge sees to it.
    if (const auto dropped = finish(target, {}); !dropped) return dropped.error();
    return merged.error();
  }
  SR_TRY(finish(target, *merged));
  if (!merged->empty()) known_[target] = last_.kept;
  return {};
}

Result<void> Compactor::finish(LaneId target, std::span<const LaneId> sources) {
  v1::Call call;
  auto& finish = *call.mutable_finish_merge();
  finish.set_credential(credential_);
  finish.set_lane(target.value);
  for (const LaneId source : sources) finish.add_sources(source.value);
  SR_TRY(keys_.call(std::move(call)));
  return {};
}

}  // namespace strongroom::compactor
