#include "strongroom/gateway/online_writer.h"

#include "strongroom/crypto/random.h"

namespace strongroom::gateway {
namespace {

constexpr uint64_t kLaneLifetimeUs = 3'600'000'000;

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
  for (auto& row : postings)
    first.push_back({store::Table::kPostings, std::move(row.key), std::move(row.value)});
  for (auto& row : directory)
    first.push_back({store::Table::kDirectory, std::move(row.key), std::move(row.value)});
  auto stored = store_.put(first, store::Durability::kBuffered);
  if (stored) stored = store_.put(rows, store::Durability::kSynced);
  // A lane with a hole would hide what is posted behind it: after a failed write it is given up.
  if (!stored) open_.erase(collection);
  return stored;
}

}  // namespace strongroom::gateway
