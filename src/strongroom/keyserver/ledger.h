// Ledger: everything that the release log says, folded into memory: collections, policy,
// principals, blocks, lanes, versions, budgets, tickets, release counters.
//
// It changes only by apply(), and apply() is the same for an entry just staged and for one replayed
// at start: so a server that restarts decides exactly as the one that ran.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/keyserver/alarm_book.h"
#include "strongroom/keyserver/backups.h"
#include "strongroom/keyserver/destructions.h"
#include "strongroom/keyserver/embargo_lifts.h"
#include "strongroom/keyserver/erasures.h"
#include "strongroom/keyserver/exports.h"
#include "strongroom/keyserver/history.h"
#include "strongroom/keyserver/holds.h"
#include "strongroom/keyserver/key_book.h"
#include "strongroom/keyserver/release_chains.h"
#include "strongroom/keyserver/tickets.h"
#include "strongroom/policy/engine.h"
#include "strongroom/tlog/release_log.h"
#include "strongroom/v1/log.pb.h"

namespace strongroom::keyserver {

inline constexpr uint32_t kBlockMax = (1u << 28) - 1;
inline constexpr size_t kLanesPerCollectionMax = 4096;
inline constexpr size_t kMergeSourcesMax = 4096;
inline constexpr uint32_t kLedgerForm = 5;

struct BlockInfo {
  CollectionId collection;
  uint32_t granted = 0;  // Offsets below this were granted.
  uint64_t leaf = 0;     // That allocated it.
  uint64_t t_ms = 0;
  uint64_t last_ms = 0;  // Of its last grant of a new record.
  bool lost = false;     // Behind the backup that the vault was restored from: nobody has its seed.
  template <class A>
  void archive(A& a) {
    a(collection, granted, leaf, t_ms, last_ms, lost);
  }
};

struct LaneInfo {
  CollectionId collection;
  v1::LaneItem::Change status = v1::LaneItem::OPENED;
  bool packed = false;
  bool history = false;  // Of superseded values: not searched.
  bool retired = false;  // Merged into another, or lost: not searched, its root destroyed.
  uint64_t leaf = 0;     // Of the last change.
  uint64_t opened_leaf = 0;
  uint64_t opened_ms = 0;
  bool renewed = false;  // Under the collection's next key: not searched before all terms are.
  template <class A>
  void archive(A& a) {
    a(collection, status, packed, history, retired, leaf, opened_leaf, opened_ms, renewed);
  }
};

struct CollectionInfo {
  v1::Collection definition;
  uint64_t leaf = 0;                    // Of the last change.
  std::optional<uint32_t> open_block;   // With room left.
  std::vector<uint32_t> live_lanes;     // Searched, ascending.
  std::vector<uint32_t> history_lanes;  // Live too, but not searched.
  std::vector<uint32_t> renewed_lanes;  // Published, to be searched when the renewal is done.
  size_t reserved_lanes = 0;
  std::optional<uint64_t> unique_leaf;  // First unique tokens, which made the root.
  uint64_t unique_ms = 0;
  uint64_t reindexed = 0;     // Records opened by the reindexing or renewal under way.
  uint64_t renewal_leaf = 0;  // That began the last renewal, and made its root.
  uint64_t renewal_ms = 0;
  bool renews() const {
    return definition.reindexing().renew() && definition.reindexing().below_u() != 0;
  }
  // Of its unique rows as they are, and as a renewal makes them.
  CollectionId space() const {
    return term_space(CollectionId{definition.id()}, definition.terms());
  }
  CollectionId next_space() const {
    return term_space(CollectionId{definition.id()}, definition.terms() + 1);
  }
  template <class A>
  void archive(A& a) {
    a(definition, leaf, open_block, live_lanes, history_lanes, reserved_lanes, unique_leaf);
    a(unique_ms, reindexed, renewed_lanes, renewal_leaf, renewal_ms);
  }
};

// Lanes being merged into one, from the entry that reserved that to the one that ends it.
struct MergeInfo {
  uint32_t lane = 0;
  std::vector<uint32_t> sources;  // Ascending.
  template <class A>
  void archive(A& a) {
    a(lane, sources);
  }
};

// Not thread-safe.
class Ledger {
 public:
  Ledger(ByteArray<16> vault, std::vector<std::string> gateways);
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Folds in one entry.
  //   kDataLoss  An entry that this version cannot have written; nothing should be served from this
  //   ledger.
  Result<void> apply(tlog::EntryType type, uint64_t leaf, uint64_t t_ms,
                     std::span<const v1::LogItem> items);
  // The same for an entry as the log hands it out.
  Result<void> replay(const tlog::Entry& entry);

  policy::Engine& engine() { return engine_; }
  const policy::Engine& engine() const { return engine_; }
  TicketBook& tickets() { return tickets_; }
  const policy::Approvals& approvals() const { return approvals_; }
  const History& history() const { return history_; }
  const Erasures& erasures() const { return erasures_; }
  const Holds& holds() const { return holds_; }
  const EmbargoLifts& embargo_lifts() const { return embargo_lifts_; }
  const Destructions& destructions() const { return destructions_; }
  const Exports& exports() const { return exports_; }
  const Backups& backups() const { return backups_; }
  // What a gateway last said of its store.
  const v1::StoreItem& store_mark() const { return store_mark_; }
  // Whether that would be less than it said before.
  bool store_goes_back(uint64_t position, const v1::StoreList& list) const;
  const ReleaseChains& releases() const { return releases_; }
  const KeyBook& keys() const { return keys_; }
  AlarmBook& alarms() { return alarms_; }
  const AlarmBook& alarms() const { return alarms_; }

  const std::map<uint32_t, CollectionInfo>& collections() const { return collections_; }
  const CollectionInfo* collection(CollectionId id) const;
  const CollectionInfo* collection(std::string_view name) const;
  std::vector<v1::Collection> definitions() const;  // By id.
  const std::vector<BlockInfo>& blocks() const { return blocks_; }
  // The collection a record was granted in, or nothing.
  std::optional<CollectionId> granted(RecordIndex idx) const;
  const std::map<uint32_t, LaneInfo>& lanes() const { return lanes_; }
  uint64_t live_lanes() const;
  // Whether it may be merged: searched, of this collection, and no writer has it open.
  bool mergeable(uint32_t lane, CollectionId collection) const;
  const std::optional<MergeInfo>& merge() const { return merge_; }
  bool is_merge_target(uint32_t lane) const { return merge_ && merge_->lane == lane; }
  uint64_t merged_lanes() const { return merged_lanes_; }
  uint32_t next_lane() const { return next_lane_; }
  uint64_t next_u() const { return next_u_; }
  uint64_t generation() const { return generation_; }  // Of all lanes.
  uint64_t revision() const { return revision_; }      // Of collections, policy and principals.
  uint64_t policy_leaf() const { return policy_leaf_; }
  // What a vault restored as of here has: blocks, and lanes that have rows in its store.
  void tell_restorable(v1::RestoredItem& out) const;

  // All of it: docs/spec/counters.md. Whoever changes what is here, or how an entry is folded in,
  // changes kLedgerForm.
  template <class A>
  void archive(A& a) {
    a(vault_, collections_, engine_, approvals_, history_, tickets_, erasures_, releases_, alarms_);
    a(blocks_, lanes_, merge_, merged_lanes_, next_lane_, next_u_, generation_, revision_);
    a(policy_leaf_, keys_, exports_, holds_, backups_, destructions_, store_mark_, embargo_lifts_);
    if constexpr (A::kReading) {
      if (!restore()) a.fail();
    }
  }

 private:
  Result<void> apply_change(const v1::LogItem& item, uint64_t leaf, uint64_t t_ms);
  // What follows from policy and definitions read back. False: they are not sound.
  bool restore();
  Result<void> apply_definition(const v1::LogItem& item, uint64_t leaf, uint64_t t_ms);
  Result<void> apply_collection(const v1::Collection& next, uint64_t leaf, uint64_t t_ms);
  // The lanes under the next key take the place of those there are.
  void finish_renewal(CollectionInfo& info);
  Result<void> apply_freeze(const v1::LogItem& item, uint64_t leaf, uint64_t t_ms);
  Result<void> apply_approval(std::span<const v1::LogItem> items, uint64_t leaf, uint64_t t_ms);
  void charge(const v1::TicketItem& ticket, const policy::Amounts& amounts, tlog::EntryType type,
              uint64_t leaf, uint64_t t_ms);
  bool apply_export(const v1::LogItem& item, uint64_t leaf, uint64_t t_ms);
  Result<void> apply_release(std::span<const v1::LogItem> items, uint64_t leaf, uint64_t t_ms);
  Result<void> apply_report(std::span<const v1::LogItem> items, uint64_t leaf, uint64_t t_ms);
  Result<void> apply_token(std::span<const v1::LogItem> items, uint64_t leaf, uint64_t t_ms);
  Result<void> apply_grant(std::span<const v1::LogItem> items, uint64_t leaf, uint64_t t_ms);
  Result<void> apply_erasure(std::span<const v1::LogItem> items, uint64_t leaf, uint64_t t_ms);
  // Asked for by a request, or by none: scheduled.
  bool schedule_destruction(const v1::DestructionItem& item, uint64_t leaf, uint64_t t_ms);
  Result<void> apply_destruction(std::span<const v1::LogItem> items, uint64_t leaf, uint64_t t_ms);
  Result<void> apply_backup(const v1::LogItem& item, uint64_t leaf, uint64_t t_ms);
  Result<void> apply_restored(const v1::RestoredItem& item, uint64_t leaf, uint64_t t_ms);
  // `before`: the item of the same entry in front of it, if that is a grant.
  Result<void> apply_grant_item(const v1::GrantItem& item, const v1::GrantItem* before,
                                uint64_t leaf, uint64_t t_ms);
  Result<void> apply_lane_item(const v1::LaneItem& item, uint64_t leaf, uint64_t t_ms);
  Result<void> begin_merge(const v1::LaneItem& item);
  Result<void> apply_merged(const v1::LaneItem& item, CollectionInfo& info);

  ByteArray<16> vault_;
  policy::Engine engine_;
  policy::Approvals approvals_;
  History history_;
  TicketBook tickets_;
  Erasures erasures_;
  Holds holds_;
  EmbargoLifts embargo_lifts_;
  Destructions destructions_;
  v1::StoreItem store_mark_;
  Backups backups_;
  ReleaseChains releases_;
  KeyBook keys_;
  Exports exports_;
  AlarmBook alarms_;
  std::map<uint32_t, CollectionInfo> collections_;
  std::vector<BlockInfo> blocks_;  // By number.
  std::map<uint32_t, LaneInfo> lanes_;
  std::optional<MergeInfo> merge_;
  uint64_t merged_lanes_ = 0;
  uint32_t next_lane_ = 1;
  uint64_t next_u_ = 1;
  uint64_t generation_ = 0;
  uint64_t revision_ = 0;
  uint64_t policy_leaf_ = 0;
  std::vector<RecordIndex> records_;  // Reused from entry to entry.
  std::vector<v1::LogItem> parsed_;
};

}  // namespace strongroom::keyserver
