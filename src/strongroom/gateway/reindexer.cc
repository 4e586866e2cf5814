#include "strongroom/gateway/reindexer.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "strongroom/base/wipe.h"
#include "strongroom/gateway/open_row.h"
#include "strongroom/gateway/request.h"

namespace strongroom::gateway {
namespace {

constexpr size_t kStepRecordsMax = 16'384;
constexpr size_t kStepRowsMax = 100'000;  // Read in one step where most are newer: imports wait.
constexpr std::chrono::milliseconds kMergeWait{1000};
constexpr size_t kReleaseRecordsMax = 1000;  // As many as the key server opens at once.

// Where the rows of this space begin.
std::string space_start(CollectionId space) {
  std::string out;
  append_be(out, space.value);
  return out;
}

}  // namespace

Reindexer::Reindexer(ImportShared& shared, std::shared_ptr<const Collection> collection,
                     const TermKey& term_key)
    : shared_(shared), collection_(std::move(collection)), term_key_(term_key) {}

void Reindexer::prepare(const v1::ReindexReply& begun) {
  renews_ = begun.salt().size() == TermSalt::kSize;
  if (renews_) {
    auto next = std::make_shared<Collection>(*collection_);
    ++next->renewals;
    next->salt = std::make_shared<const TermSalt>(as_bytes(begun.salt()).first<TermSalt::kSize>());
    collection_ = std::move(next);
  }
  whole_ = renews_ && !collection_->unique_fields.empty();
  builder_.emplace(collection_, term_key_);
  for (size_t at = 0; at < collection_->fields.size(); ++at) {
    const Field& field = collection_->fields[at];
    if (!whole_ && !field.index.any()) continue;
    columns_.push_back(at);
    groups_.push_back(field.group);
  }
  std::sort(groups_.begin(), groups_.end());
  groups_.erase(std::unique(groups_.begin(), groups_.end()), groups_.end());
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

Result<Reindexer::Found> Reindexer::read(const Range& range) const {
  Found found;
  found.next = range.from;
  bool sound = true;
  const std::string from = record::row_key(collection_->id, RecordIndex{range.from});
  const std::string to = record::row_key(CollectionId{collection_->id.value + 1}, RecordIndex{0});
  SR_TRY(shared_.store.scan(
      store::Table::kRecords, from, to, [&](std::string_view key, std::string_view value) {
        CollectionId collection;
        RecordIndex idx;
        const auto header = record::parse_row(as_bytes(value));
        sound = header && record::parse_row_key(as_bytes(key), &collection, &idx);
        if (!sound) return false;
        if (found.old.size() == range.records_max || found.passed == range.rows_max) {
          found.end = false;
          return false;
        }
        ++found.passed;
        found.next = idx.value + 1;
        if (header->u.value >= range.from_u && header->u.value < range.below_u) {
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

Result<void> Reindexer::add_terms(const Old& old, Bytes keys, PreparedRow& row,
                                  index::LanePacker& packer) {
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
  const bool built = whole_ ? builder_->build(columns_, views, row.built, problem)
                            : builder_->index(columns_, views, row.built, problem);
  for (std::string& value : values) wipe(value);
  if (!built) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "a record holds a value that the index does not take (the number is the "
                      "record's, in decimal). Correct it with `import --key` or `update`, then go "
                      "on; what was indexed stays so",
                      static_cast<int64_t>(old.version.idx.value));
  }
  const index::Posting posting{old.version.idx, static_cast<uint32_t>(old.version.u.value)};
  for (const TermHash& term : row.built.terms) packer.add(term, posting);
  return {};
}

Result<void> Reindexer::add_uniques(const v1::SignedTicket& ticket, std::span<const Old* const> old,
                                    std::span<PreparedRow> rows) {
  SR_TRY(derive_unique(shared_.keys, ticket, collection_->space(), rows, UniqueUse::kRenew));
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t f = 0; f < rows[i].unique_keys.size(); ++f) {
      if (!rows[i].unique_keys[f]) continue;
      uniques_[*rows[i].unique_keys[f]] = rows[i].seal_unique(f, old[i]->version);
    }
  }
  return {};
}

Result<uint64_t> Reindexer::pack_some(const v1::SignedTicket& ticket, std::span<const Old> some,
                                      index::LanePacker& packer) {
  std::vector<const Old*> old;
  for (const Old& one : some) old.push_back(&one);
  SR_ASSIGN(std::string keys, open(ticket, old));
  const size_t each = groups_.size() * RecordKey::kSize;
  std::vector<PreparedRow> rows(whole_ ? old.size() : 1);
  Result<void> added;
  for (size_t i = 0; i < old.size() && added; ++i) {
    added =
        add_terms(*old[i], as_bytes(keys).subspan(i * each, each), rows[whole_ ? i : 0], packer);
  }
  wipe(keys);
  if (added && whole_) added = add_uniques(ticket, old, rows);
  for (PreparedRow& row : rows) row.wipe();
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

Result<void> Reindexer::write_uniques() {
  if (uniques_.empty()) return {};
  SR_ASSIGN(auto run, shared_.store.begin_run(store::Table::kUnique));
  for (const auto& [key, value] : uniques_) SR_TRY(run->add(as_text(key), value));
  uniques_.clear();
  return shared_.store.ingest(std::move(run));
}

Result<void> Reindexer::write(index::LanePacker& packer) {
  SR_ASSIGN(auto postings, shared_.store.begin_run(store::Table::kPostings));
  SR_ASSIGN(auto directory, shared_.store.begin_run(store::Table::kDirectory));
  const auto into = [](store::SortedRun& run) -> index::LanePacker::Emit {
    return [&run](std::string_view key, std::string_view value) { return run.add(key, value); };
  };
  SR_TRY(write_uniques());
  SR_TRY(packer.finish(into(*postings), into(*directory)));
  SR_TRY(shared_.store.ingest(std::move(postings)));
  return shared_.store.ingest(std::move(directory));
}

Result<Reindexer::Packed> Reindexer::index(const v1::SignedTicket& ticket,
                                           std::span<const Old> old) {
  SR_ASSIGN(OpenedLane opened,
            ask_lane(shared_.keys, ticket, renews_ ? LaneUse::kRenewed : LaneUse::kPacked));
  const LaneId lane = opened.lane;
  index::LanePacker packer(lane, std::move(opened.root), shared_.options.memory);

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
  prepare(begun);
  const std::string name = shared_.checkpoints.name(collection_->id, as_bytes("reindex"));
  SR_ASSIGN(auto checkpoint, shared_.checkpoints.load(name));
  if (!checkpoint || checkpoint->reindex().below_u() != begun.below_u()) {
    checkpoint.emplace().mutable_reindex()->set_below_u(begun.below_u());
  }
  v1::ReindexProgress& progress = *checkpoint->mutable_reindex();
  // Nothing is written under a version from before this call any more: writes are on this thread.
  if (renews_ && progress.next_from_u() == 0) progress.set_next_from_u(begun.next_u());
  const size_t most = request.records_max() == 0
                          ? kStepRecordsMax
                          : std::min<size_t>(request.records_max(), kStepRecordsMax);
  SR_ASSIGN(Found found, read({progress.next(), progress.from_u(),
                               renews_ ? UINT64_MAX : progress.below_u(), most, kStepRowsMax}));
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
  // Of a renewal the first pass alone: the others are short.
  if (progress.from_u() == 0) progress.set_passed(progress.passed() + found.passed);
  const auto respond = [&](bool finished) {
    v1::ReindexResponse response;
    response.set_indexed(progress.indexed());
    response.set_passed(progress.passed());
    response.set_records(begun.records());
    response.set_renews(renews_);
    response.set_finished(finished);
    return response;
  };
  bool done = found.end;
  if (done && renews_) {
    SR_ASSIGN(done, close_renewal(request, progress));
  }
  if (!done) {
    SR_TRY(shared_.checkpoints.save(name, *checkpoint));
    return respond(false);
  }
  // Records that came behind the last one read are newer than the index.
  if (!renews_) SR_TRY(call(request.ticket(), true));
  SR_TRY(shared_.checkpoints.forget(name));
  if (renews_) SR_TRY(drop_old_uniques(shared_.store, *collection_));
  return respond(true);
}

Result<bool> Reindexer::close_renewal(const v1::ReindexRequest& request,
                                      v1::ReindexProgress& progress) {
  // What was written during this pass, in one go, since whoever wants to write waits for it. If
  // that is much, it takes a pass of its own.
  SR_ASSIGN(const Found late,
            read({0, progress.next_from_u(), UINT64_MAX, kStepRecordsMax, SIZE_MAX}));
  bool all = late.end;
  if (all && !late.old.empty()) {
    SR_ASSIGN(const Packed packed, index(request.ticket(), late.old));
    progress.set_indexed(progress.indexed() + packed.indexed);
    all = packed.old == late.old.size();
  }
  if (all) {
    SR_TRY(shared_.online.close(collection_->id));
    const auto finished = call(request.ticket(), true);
    if (finished) return true;
    // Lanes are being merged.
    if (finished.error().code != ErrorCode::kUnavailable) return finished.error();
    std::this_thread::sleep_for(kMergeWait);
  }
  progress.set_from_u(progress.next_from_u());
  progress.set_next_from_u(0);
  progress.set_next(0);
  return false;
}

Result<void> drop_old_uniques(store::Store& store, const Collection& collection) {
  for (uint32_t renewals = 0; renewals < collection.renewals; ++renewals) {
    const CollectionId space = term_space(collection.id, renewals);
    const std::string from = space_start(space);
    const std::string to = space_start({space.value + 1});
    bool any = false;
    SR_TRY(store.scan(store::Table::kUnique, from, to, [&](std::string_view, std::string_view) {
      any = true;
      return false;
    }));
    if (any) SR_TRY(store.erase_range(store::Table::kUnique, from, to));
  }
  return {};
}

}  // namespace strongroom::gateway
