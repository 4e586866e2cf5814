#include "strongroom/gateway/reindexer.h"

#include <algorithm>

#include "strongroom/gateway/open_row.h"
#include "strongroom/gateway/request.h"

namespace strongroom::gateway {
namespace {

constexpr size_t kStepRecordsMax = 16'384;
constexpr size_t kStepRowsMax = 100'000;     // Read in one step where most are newer: imports wait.
constexpr size_t kReleaseRecordsMax = 1000;  // As many as the key server opens at once.

void wipe(std::string& bytes) {
  explicit_bzero(bytes.data(), bytes.size());
}

}  // namespace

Reindexer::Reindexer(ImportShared& shared, std::shared_ptr<const Collection> collection,
                     const TermKey& term_key)
    : shared_(shared), collection_(std::move(collection)), builder_(collection_, term_key) {
  for (const Field& field : collection_->fields) {
    if (field.index.any()) groups_.push_back(field.group);
  }
  std::sort(groups_.begin(), groups_.end());
  groups_.erase(std::unique(groups_.begin(), groups_.end()), groups_.end());
  for (size_t at = 0; at < collection_->fields.size(); ++at) {
    if (collection_->fields[at].index.any()) columns_.push_back(at);
  }
}

Result<v1::ReindexReply> Reindexer::call(const v1::SignedTicket& ticket, bool finish) {
  v1::Call call;
  auto& ask = *call.mutable_reindex();
  *ask.mutable_ticket() = ticket;
  ask.set_request_id(fresh_request_id());
  ask.set_finish(finish);
  SR_ASSIGN(v1::Reply reply, shared_.keys.call_blocking(std::move(call)));
  return std::move(*reply.mutable_reindex());
}

Result<Reindexer::Found> Reindexer::read(const v1::ReindexProgress& progress, size_t most) const {
  Found found;
  found.next = progress.next();
  bool sound = true;
  const std::string from = record::row_key(collection_->id, RecordIndex{progress.next()});
  const std::string to = record::row_key(CollectionId{collection_->id.value + 1}, RecordIndex{0});
  SR_TRY(shared_.store.scan(
      store::Table::kRecords, from, to, [&](std::string_view key, std::string_view value) {
        CollectionId collection;
        RecordIndex idx;
        const auto header = record::parse_row(as_bytes(value));
        sound = header && record::parse_row_key(as_bytes(key), &collection, &idx);
        if (!sound) return false;
        if (found.old.size() == most || found.passed == kStepRowsMax) {
          found.end = false;
          return false;
        }
        ++found.passed;
        found.next = idx.value + 1;
        if (header->u.value < progress.below_u()) {
          found.old.push_back({{idx, header->u}, std::string(value)});
        }
        return true;
      }));
  if (!sound) return damaged_row();
  return found;
}

Result<std::string> Reindexer::open(const v1::SignedTicket& ticket, std::vector<const Old*>& old) {
  while (!old.empty()) {
    v1::Call call;
    auto& ask = *call.mutable_release();
    *ask.mutable_ticket() = ticket;
    ask.set_request_id(fresh_request_id());
    ask.set_request_hash(std::string(32, '\0'));  // Nothing was asked but these records.
    ask.set_groups(group_mask(groups_));
    ask.set_reindex(true);
    for (const Old* one : old) {
      auto& item = *ask.add_items();
      item.set_idx(one->version.idx.value);
      item.set_u(one->version.u.value);
    }
    auto reply = shared_.keys.call_blocking(std::move(call));
    if (reply) {
      const auto& erased = reply->release().erased();  // Their rows are left over.
      for (auto place = erased.rbegin(); place != erased.rend(); ++place) {
        if (*place >= old.size()) return malformed_reply();
        old.erase(old.begin() + *place);
      }
      std::string keys = std::move(*reply->mutable_release()->mutable_keys());
      if (keys.size() == old.size() * groups_.size() * RecordKey::kSize) return keys;
      wipe(keys);
      return malformed_reply();
    }
    // Never granted: a row that the store made up.
    const Error& error = reply.error();
    if (error.code != ErrorCode::kNotFound || error.number < 0 ||
        static_cast<size_t>(error.number) >= old.size()) {
      return error;
    }
    old.erase(old.begin() + error.number);
  }
  return std::string();
}

Result<void> Reindexer::add_terms(const Old& old, Bytes keys, index::LanePacker& packer) {
  std::vector<std::string> values(columns_.size());
  SR_TRY(open_row(collection_->id, old.version.idx, old.row, groups_, keys,
                  [&](FieldId field, std::string&& value) {
                    for (size_t c = 0; c < values.size(); ++c) {
                      if (collection_->fields[columns_[c]].id != field) continue;
                      values[c] = std::move(value);
                      break;
                    }
                  }));
  const std::vector<std::string_view> views(values.begin(), values.end());
  BuildProblem problem;
  const bool built = builder_.index(columns_, views, built_, problem);
  for (std::string& value : values) wipe(value);
  if (!built) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "a record holds a value that the new index does not take (the number is the "
                      "record's, in decimal). Correct it with `import --key`, then go on; what was "
                      "indexed stays so",
                      static_cast<int64_t>(old.version.idx.value));
  }
  const index::Posting posting{old.version.idx, static_cast<uint32_t>(old.version.u.value)};
  for (const TermHash& term : built_.terms) packer.add(term, posting);
  return {};
}

Result<uint64_t> Reindexer::pack_some(const v1::SignedTicket& ticket, std::span<const Old> some,
                                      index::LanePacker& packer) {
  std::vector<const Old*> old;
  for (const Old& one : some) old.push_back(&one);
  SR_ASSIGN(std::string keys, open(ticket, old));
  const size_t each = groups_.size() * RecordKey::kSize;
  Result<void> added;
  for (size_t i = 0; i < old.size() && added; ++i) {
    added = add_terms(*old[i], as_bytes(keys).subspan(i * each, each), packer);
  }
  wipe(keys);
  built_.wipe();
  SR_TRY(added);
  return old.size();
}

// What was opened is kept, whatever comes then: a budget that ends in a step would else be spent on
// the same records again and again. The next step meets what ended this one.
Result<Reindexer::Packed> Reindexer::pack(const v1::SignedTicket& ticket, std::span<const Old> old,
                                          index::LanePacker& packer) {
  Packed packed;
  while (packed.old < old.size()) {
    const auto some =
        old.subspan(packed.old, std::min(kReleaseRecordsMax, old.size() - packed.old));
    const auto indexed = pack_some(ticket, some, packer);
    if (!indexed && packed.old == 0) return indexed.error();
    if (!indexed) return packed;
    SR_TRY(packer.keep_within_limit());
    packed.old += some.size();
    packed.indexed += *indexed;
  }
  return packed;
}

Result<void> Reindexer::write(index::LanePacker& packer) {
  SR_ASSIGN(auto postings, shared_.store.begin_run(store::Table::kPostings));
  SR_ASSIGN(auto directory, shared_.store.begin_run(store::Table::kDirectory));
  const auto into = [](store::SortedRun& run) -> index::LanePacker::Emit {
    return [&run](std::string_view key, std::string_view value) { return run.add(key, value); };
  };
  SR_TRY(packer.finish(into(*postings), into(*directory)));
  SR_TRY(shared_.store.ingest(std::move(postings)));
  return shared_.store.ingest(std::move(directory));
}

Result<Reindexer::Packed> Reindexer::index(const v1::SignedTicket& ticket,
                                           std::span<const Old> old) {
  v1::Call call;
  auto& ask = *call.mutable_open_lane();
  *ask.mutable_ticket() = ticket;
  ask.set_request_id(fresh_request_id());
  ask.set_packed(true);
  SR_ASSIGN(v1::Reply reply, shared_.keys.call_blocking(std::move(call)));
  auto& opened = *reply.mutable_open_lane();
  if (opened.root().size() != LaneRoot::kSize || opened.lane() > kLaneMax) return malformed_reply();
  LaneRoot root(as_bytes(opened.root()).first<32>());
  wipe(*opened.mutable_root());
  const LaneId lane{opened.lane()};
  index::LanePacker packer(lane, std::move(root), shared_.options.memory);

  const auto written = [&]() -> Result<Packed> {
    SR_ASSIGN(const Packed packed, pack(ticket, old, packer));
    if (packer.size() > 0) SR_TRY(write(packer));
    return packed;
  }();
  const bool search = written && written->indexed > 0;
  v1::Call change;
  change.mutable_publish_lane()->set_lane(lane.value);
  change.mutable_publish_lane()->set_change(search ? v1::PublishLaneCall::PUBLISH
                                                   : v1::PublishLaneCall::DROP);
  const auto changed = shared_.keys.call_blocking(std::move(change));
  // To drop it is best effort: a lane that is never published is searched by nobody.
  if (search && !changed) return changed.error();
  return written;
}

Result<v1::ReindexResponse> Reindexer::step(const v1::ReindexRequest& request) {
  SR_ASSIGN(const v1::ReindexReply begun, call(request.ticket(), false));
  const std::string name = shared_.checkpoints.name(collection_->id, as_bytes("reindex"));
  SR_ASSIGN(auto checkpoint, shared_.checkpoints.load(name));
  if (!checkpoint || checkpoint->reindex().below_u() != begun.below_u()) {
    checkpoint.emplace().mutable_reindex()->set_below_u(begun.below_u());
  }
  v1::ReindexProgress& progress = *checkpoint->mutable_reindex();
  const size_t most = request.records_max() == 0
                          ? kStepRecordsMax
                          : std::min<size_t>(request.records_max(), kStepRecordsMax);
  SR_ASSIGN(Found found, read(progress, most));
  if (!found.old.empty()) {
    SR_ASSIGN(const Packed packed, index(request.ticket(), found.old));
    progress.set_indexed(progress.indexed() + packed.indexed);
    if (packed.old < found.old.size()) {
      found.end = false;
      found.next = found.old[packed.old].version.idx.value;
      found.passed -= found.old.size() - packed.old;
    }
  }
  progress.set_next(found.next);
  progress.set_passed(progress.passed() + found.passed);
  v1::ReindexResponse response;
  response.set_indexed(progress.indexed());
  response.set_passed(progress.passed());
  response.set_records(begun.records());
  if (!found.end) {
    SR_TRY(shared_.checkpoints.save(name, *checkpoint));
    return response;
  }
  // Records that came behind the last one read are newer than the index.
  SR_TRY(call(request.ticket(), true));
  SR_TRY(shared_.checkpoints.forget(name));
  response.set_finished(true);
  return response;
}

}  // namespace strongroom::gateway
