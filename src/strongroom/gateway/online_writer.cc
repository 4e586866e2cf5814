#include "strongroom/gateway/online_writer.h"

#include <algorithm>

#include "strongroom/crypto/random.h"
#include "strongroom/gateway/grants.h"
#include "strongroom/index/lane_packer.h"

namespace strongroom::gateway {
namespace {

constexpr uint64_t kLaneLifetimeUs = 3'600'000'000;
constexpr uint64_t kLargeLanePostings = uint64_t{1} << 16;  // Some 1,600 people.
// So many at once are a file of their own: each would cost 3 us in the engine's skip list, and be
// written three times, to its log, from its memory, and when files are brought together.
constexpr size_t kRunPostings = size_t{1} << 14;
// So many writes at once get a lane of their own.
constexpr size_t kPackedFrom = 512;

// The order of keys, which begin with 8 bytes at least.
std::vector<uint32_t> ascending(std::span<const index::SealedRow> rows) {
  std::vector<std::pair<uint64_t, uint32_t>> order(rows.size());
  for (uint32_t i = 0; i < rows.size(); ++i) {
    order[i] = {load_be64(as_bytes(rows[i].key).data()), i};
  }
  std::sort(order.begin(), order.end(), [&](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : rows[a.second].key < rows[b.second].key;
  });
  std::vector<uint32_t> out(rows.size());
  std::transform(order.begin(), order.end(), out.begin(),
                 [](const auto& one) { return one.second; });
  return out;
}

Result<void> ingest(store::Store& store, store::Table table, std::span<const index::SealedRow> rows,
                    bool in_order) {
  SR_ASSIGN(auto run, store.begin_run(table));
  if (in_order) {
    for (const auto& row : rows) SR_TRY(run->add(row.key, row.value));
  } else {
    for (const uint32_t i : ascending(rows)) SR_TRY(run->add(rows[i].key, rows[i].value));
  }
  return store.ingest(std::move(run));
}

uint32_t u_lo(Version u) {
  return static_cast<uint32_t>(u.value);
}

}  // namespace

std::string fresh_request_id() {
  ByteArray<16> id;
  crypto::random_bytes(id);
  return std::string(as_text(id));
}

Error malformed_reply() {
  return make_error(ErrorCode::kInternal, "the key server's answer does not fit what it was asked");
}

OnlineWriter::OnlineWriter(store::Store& store, KeyService& keys, env::Clock& clock,
                           const TermKey& term_key)
    : store_(store), keys_(keys), clock_(clock), hasher_(term_key) {}

Result<void> OnlineWriter::close_lane(LaneId lane) {
  v1::Call close;
  close.mutable_publish_lane()->set_lane(lane.value);
  close.mutable_publish_lane()->set_change(v1::PublishLaneCall::CLOSE);
  SR_TRY(keys_.call_blocking(std::move(close)));
  return {};
}

// What the rows are in for is done: a lane that could not be closed is closed later.
void OnlineWriter::close_written() {
  std::erase_if(written_, [this](LaneId lane) { return close_lane(lane).has_value(); });
}

Result<void> OnlineWriter::close(CollectionId collection) {
  const auto it = open_.find(collection);
  if (it == open_.end()) return {};
  const LaneId lane = it->second.lane.id();
  open_.erase(it);  // Wipes its root, whatever the key server answers.
  return close_lane(lane);
}

Result<void> OnlineWriter::close_if_large(CollectionId collection) {
  const auto it = open_.find(collection);
  const bool large = it != open_.end() && it->second.lane.postings() >= kLargeLanePostings;
  return large ? close(collection) : Result<void>();
}

Result<index::OnlineLane*> OnlineWriter::lane(CollectionId collection,
                                              const v1::SignedTicket& ticket, bool update) {
  auto it = open_.find(collection);
  if (it != open_.end() &&
      (it->second.lane.full() || clock_.monotonic_us() - it->second.opened_us > kLaneLifetimeUs)) {
    SR_TRY(close(collection));
    it = open_.end();
  }
  if (it == open_.end()) {
    SR_ASSIGN(OpenedLane opened,
              ask_lane(keys_, ticket, update ? LaneUse::kUpdate : LaneUse::kOnline));
    it = open_
             .emplace(collection, OpenLane{index::OnlineLane(opened.lane, std::move(opened.root)),
                                           clock_.monotonic_us()})
             .first;
  }
  return &it->second.lane;
}

Result<OnlineWriter::Posted> OnlineWriter::post(CollectionId collection,
                                                index::WritePadding padding,
                                                const v1::SignedTicket& ticket,
                                                std::span<const OnlineWrite> writes, bool update) {
  const TermHash dead = hasher_.dead(collection);
  Posted out;
  for (const auto& write : writes) {
    SR_ASSIGN(index::OnlineLane * lane, this->lane(collection, ticket, update));
    const RecordIndex idx = write.version.idx;
    lane->write({idx, u_lo(write.version.u)}, write.terms, padding, out.postings, out.directory);
    if (write.superseded) {
      lane->write_dead({idx, u_lo(*write.superseded)}, dead, out.postings, out.directory);
    }
  }
  return out;
}

Result<OnlineWriter::Posted> OnlineWriter::post_packed(CollectionId collection, LaneId lane,
                                                       LaneRoot root,
                                                       std::span<const OnlineWrite> writes) {
  const TermHash dead = hasher_.dead(collection);
  index::LanePacker packer(lane, std::move(root));
  for (const auto& write : writes) {
    const RecordIndex idx = write.version.idx;
    for (const TermHash& term : write.terms) packer.add(term, {idx, u_lo(write.version.u)});
    if (write.superseded) packer.add(dead, {idx, u_lo(*write.superseded)});
  }
  Posted out;
  out.ascending = true;
  const auto into = [](std::vector<index::SealedRow>& rows) -> index::LanePacker::Emit {
    return [&rows](std::string_view key, std::string_view value) -> Result<void> {
      rows.push_back({std::string(key), std::string(value)});
      return {};
    };
  };
  SR_TRY(packer.finish(into(out.postings), into(out.directory)));
  return out;
}

Result<void> OnlineWriter::store(CollectionId collection, const Posted& posted,
                                 std::vector<OnlineWrite> writes) {
  std::vector<store::Put> first, rows;
  for (auto& write : writes) {
    for (auto& put : write.unique) first.push_back(std::move(put));
    rows.push_back({store::Table::kRecords, record::row_key(collection, write.version.idx),
                    std::move(write.row)});
  }
  if (posted.postings.size() >= kRunPostings) {
    SR_TRY(ingest(store_, store::Table::kPostings, posted.postings, posted.ascending));
    SR_TRY(ingest(store_, store::Table::kDirectory, posted.directory, posted.ascending));
  } else {
    for (const auto& row : posted.postings)
      first.push_back({store::Table::kPostings, row.key, row.value});
    for (const auto& row : posted.directory)
      first.push_back({store::Table::kDirectory, row.key, row.value});
  }
  if (!first.empty()) SR_TRY(store_.put(first, store::Durability::kBuffered));
  return store_.put(rows, store::Durability::kSynced);
}

Result<void> OnlineWriter::write(CollectionId collection, index::WritePadding padding,
                                 const v1::SignedTicket& ticket, std::vector<OnlineWrite> writes,
                                 bool update) {
  if (writes.empty()) return {};
  if (writes.size() >= kPackedFrom) {
    // Searched from now on, and closed once the rows are in: until then nobody merges it, who would
    // drop what no row is there for.
    SR_ASSIGN(OpenedLane opened,
              ask_lane(keys_, ticket, update ? LaneUse::kUpdate : LaneUse::kOnline));
    const auto posted = post_packed(collection, opened.lane, std::move(opened.root), writes);
    const auto stored =
        posted ? store(collection, *posted, std::move(writes)) : Result<void>(posted.error());
    written_.push_back(opened.lane);
    close_written();
    return stored;
  }
  const auto posted = post(collection, padding, ticket, writes, update);
  const auto stored =
      posted ? store(collection, *posted, std::move(writes)) : Result<void>(posted.error());
  // A lane with a hole would hide what is posted behind it: after a failed write it is given up.
  if (!stored) open_.erase(collection);
  return stored;
}

}  // namespace strongroom::gateway
