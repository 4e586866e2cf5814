// Legal holds: one places them, several end them.
#include <algorithm>

#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/refusals.h"

namespace strongroom::keyserver {
namespace {

Result<void> check_reference(const std::string& reference) {
  const bool plain =
      std::all_of(reference.begin(), reference.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (plain && !reference.empty() && reference.size() <= kHoldReferenceMax) return {};
  return invalid("A hold's reference is 1 to 64 characters of ASCII without spaces.");
}

}  // namespace

Result<v1::PlaceHoldResponse> KeyServer::place_hold(const std::string& who,
                                                    const v1::PlaceHoldRequest& request) {
  SR_TRY(require(who, {v1::HOLD_RECORDS}));
  SR_TRY(check_reference(request.reference()));
  SR_TRY(check_reason(request.reason()));
  if (failed_) return unavailable();
  const CollectionInfo* collection = ledger_.collection(request.collection());
  if (collection == nullptr) {
    return no_collection();
  }
  const auto count = static_cast<size_t>(request.idx_size());
  if (count == 0 || count > kHoldRecordsMax) {
    return invalid("A hold is placed on 1 to 1000 records at a time.");
  }
  const Holds& holds = ledger_.holds();
  const Hold* known = holds.find(request.reference());
  if (known == nullptr && holds.all().size() >= kHoldsMax) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "There are as many holds as there may be. Have some of them lifted.");
  }
  if (holds.records() + count > kHeldRecordsMax) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "As many records are held as may be. Have some holds lifted.");
  }
  const CollectionId id{collection->definition.id()};
  std::vector<uint64_t> added;
  for (size_t i = 0; i < count; ++i) {
    const RecordIndex idx{request.idx(static_cast<int>(i))};
    // One that is erased is not there to be kept, and whoever asks should know.
    if (ledger_.granted(idx) != id || !alive(idx)) {
      return make_error(ErrorCode::kNotFound,
                        "There is no such record (the number is its place). No hold was placed.",
                        static_cast<int64_t>(i));
    }
    if (known == nullptr || !known->records.contains(idx)) added.push_back(idx.value);
  }
  std::sort(added.begin(), added.end());
  added.erase(std::unique(added.begin(), added.end()), added.end());
  v1::PlaceHoldResponse out;
  out.set_added(added.size());
  if (added.empty()) {
    out.set_leaf(known->leaf);
    return out;
  }
  v1::LogItem item;
  v1::HoldItem& hold = *item.mutable_hold();
  hold.set_reference(request.reference());
  hold.set_collection(id.value);
  hold.mutable_idx()->Add(added.begin(), added.end());
  hold.set_reason(request.reason());
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item)));
  out.set_leaf(leaf);
  return out;
}

Result<v1::LiftHoldResponse> KeyServer::lift_hold(const std::string& who,
                                                  const v1::LiftHoldRequest& request) {
  SR_TRY(require(who, {v1::HOLD_RECORDS}));
  const Hold* hold = ledger_.holds().find(request.reference());
  if (hold == nullptr) {
    return make_error(ErrorCode::kNotFound, "There is no hold of this reference.");
  }
  v1::ApprovalRequest asked;
  asked.set_lift_hold(request.reference());
  asked.set_base(hold->leaf);
  v1::LiftHoldResponse out;
  SR_ASSIGN(const uint64_t id, propose(who, std::move(asked), request.reason()));
  out.set_request(id);
  return out;
}

Result<v1::ListHoldsResponse> KeyServer::list_holds(const std::string& who,
                                                    const v1::ListHoldsRequest&) const {
  SR_TRY(require(who, {v1::HOLD_RECORDS, v1::READ_LOG}));
  v1::ListHoldsResponse out;
  for (const auto& [reference, hold] : ledger_.holds().all()) {
    v1::HoldView& view = *out.add_holds();
    view.set_reference(reference);
    view.set_reason(hold.reason);
    view.set_author(hold.author);
    view.set_t_ms(hold.t_ms);
    view.set_records(hold.records.size());
    view.set_leaf(hold.leaf);
  }
  return out;
}

}  // namespace strongroom::keyserver
