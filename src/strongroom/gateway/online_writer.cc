#include "strongroom/gateway/online_writer.h"

#include <algorithm>

#include "strongroom/crypto/random.h"

namespace strongroom::gateway {
namespace {

constexpr uint64_t kLaneLifetimeUs = 3'600'000'000;
constexpr uint64_t kLargeLanePostings = uint64_t{1} << 16;  // Some 1,600 people.
// So many at once are a file of their own: each would cost 3 us in the engine's skip list, and be
// written three times, to its log, from its memory, and when files are brought together.
constexpr size_t kRunPostings = size_t{1} << 14;

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

Result<void> ingest(store::Store& store, store::Table table,
                    std::span<const index::SealedRow> rows) {
  SR_ASSIGN(auto run, store.begin_run(table));
  for (const uint32_t i : ascending(rows)) SR_TRY(run->add(rows[i].key, rows[i].value));
  return store.ingest(std::move(run));
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

Result<void> OnlineWriter::close(CollectionId collection) {
  const auto it = open_.find(collection);
  if (it == open_.end()) return {};
  v1::Call close;
  close.mutable_publish_lane()->set_lane(it->second.lane.id().value);
  close.mutable_publish_lane()->set_change(v1::PublishLaneCall::CLOSE);
  open_.erase(it);  // Wipes its root, whatever the key server answers.
  SR_TRY(keys_.call_blocking(std::move(close)));
  return {};
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
    v1::Call call;
    *call.mutable_open_lane()->mutable_ticket() = ticket;
    call.mutable_open_lane()->set_request_id(fresh_request_id());
    call.mutable_open_lane()->set_update(update);
    SR_ASSIGN(v1::Reply reply, keys_.call_blocking(std::move(call)));
    auto& opened = *reply.mutable_open_lane();
    if (opened.root().size() != LaneRoot::kSize || opened.lane() > kLaneMax)
      return malformed_reply();
    LaneRoot root(as_bytes(opened.root()).first<32>());
    explicit_bzero(opened.mutable_root()->data(), opened.root().size());
    it =
        open_
            .emplace(collection, OpenLane{index::OnlineLane(LaneId{opened.lane()}, std::move(root)),
                                          clock_.monotonic_us()})
            .first;
  }
  return &it->second.lane;
}

Result<void> OnlineWriter::write(CollectionId collection, index::WritePadding padding,
                                 const v1::SignedTicket& ticket, std::vector<OnlineWrite> writes,
                                 bool update) {
  if (writes.empty()) return {};
  const TermHash dead = hasher_.dead(collection);
  std::vector<index::SealedRow> postings, directory;
  std::vector<store::Put> first, rows;
  for (auto& write : writes) {
    SR_ASSIGN(index::OnlineLane * lane, this->lane(collection, ticket, update));
    const auto u_lo = [](Version u) { return static_cast<uint32_t>(u.value); };
    lane->write({write.version.idx, u_lo(write.version.u)}, write.terms, padding, postings,
                directory);
    if (write.superseded)
      lane->write_dead({write.version.idx, u_lo(*write.superseded)}, dead, postings, directory);
    for (auto& put : write.unique) first.push_back(std::move(put));
    rows.push_back({store::Table::kRecords, record::row_key(collection, write.version.idx),
                    std::move(write.row)});
  }
  const auto store = [&]() -> Result<void> {
    if (postings.size() >= kRunPostings) {
      SR_TRY(ingest(store_, store::Table::kPostings, postings));
      SR_TRY(ingest(store_, store::Table::kDirectory, directory));
    } else {
      for (auto& row : postings)
        first.push_back({store::Table::kPostings, std::move(row.key), std::move(row.value)});
      for (auto& row : directory)
        first.push_back({store::Table::kDirectory, std::move(row.key), std::move(row.value)});
    }
    if (!first.empty()) SR_TRY(store_.put(first, store::Durability::kBuffered));
    return store_.put(rows, store::Durability::kSynced);
  };
  const auto stored = store();
  // A lane with a hole would hide what is posted behind it: after a failed write it is given up.
  if (!stored) open_.erase(collection);
  return stored;
}

}  // namespace strongroom::gateway
