// One import under way: rows in, sealed chunks out.
//
// New rows are held, and get their record numbers only when their chunk is committed, in an order
// drawn for it: numbers, which anybody sees who has the store, tell which chunk a row was in, and
// nothing of its place there.
//
// A chunk is committed in this order, so that a crash between any two steps is repaired by its
// checkpoint alone:
//   checkpoint "pending" | postings and directory of a reserved lane | unique rows |
//   records' rows (the commit point) | lane published | checkpoint done
// Rows present: roll forward. Rows absent: the lane is dropped, unique rows pointing nowhere count
// as free. A small last chunk goes through the online lane instead.
//
// By --key, rows take effect in the order of the source: one that shares a unique value with an
// earlier row still undecided waits for it. Such rows are read again after a crash, which by --key
// changes nothing but the counts: what was imported is found unchanged.
#pragma once

#include <array>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "strongroom/gateway/erased_rows.h"
#include "strongroom/gateway/grants.h"
#include "strongroom/gateway/held_rows.h"
#include "strongroom/gateway/import_checkpoint.h"
#include "strongroom/gateway/key_service.h"
#include "strongroom/gateway/online_writer.h"
#include "strongroom/gateway/prepared_rows.h"
#include "strongroom/gateway/two_threads.h"
#include "strongroom/index/lane_packer.h"
#include "strongroom/store/store.h"
#include "strongroom/v1/vault.pb.h"

namespace strongroom::gateway {

struct ImportOptions {
  // Doubles with each chunk: lanes stay few, resuming stays near.
  uint64_t first_chunk_records = uint64_t{1} << 18;
  uint64_t chunk_records_max = uint64_t{1} << 20;
  uint64_t online_records_max = 4096;  // A last chunk up to this goes through the online lane.
  // Of a chunk's postings and unique rows; what is beyond goes to files in `spool_folder`. To that
  // come some 110 bytes a record of the chunk, for its unique values.
  index::PackerMemory memory;
};

class ImportSession;

// Unique values of rows that are in some session's chunk and not yet committed.
struct PendingUnique {
  ImportSession* session;
  ByteArray<16> check;
};
using PendingUniques = std::unordered_map<UniqueKey, PendingUnique, UniqueKeyHash>;

// What all sessions of a gateway share. Worker thread only.
struct ImportShared {
  store::Store& store;
  KeyService& keys;
  ErasedRows& erased;
  OnlineWriter& online;
  ImportCheckpoints& checkpoints;
  PendingUniques pending;
  ImportOptions options;
  TwoThreads two_threads;
};

// Worker thread only. Blocks on store and key server. After an error the session is good for
// nothing but to be destroyed: the checkpoint says where the next one goes on.
class ImportSession {
 public:
  using Rows = google::protobuf::RepeatedPtrField<v1::ImportRow>;

  ImportSession(ImportShared& shared, std::shared_ptr<const Collection> collection,
                const TermKey& term_key, std::string checkpoint_name, Columns columns,
                std::optional<size_t> key_field, v1::ImportState state);
  ImportSession(const ImportSession&) = delete;
  ImportSession& operator=(const ImportSession&) = delete;
  ~ImportSession();  // Drops what was not committed.

  const std::string& checkpoint_name() const { return checkpoint_name_; }
  CollectionId collection() const { return collection_->id; }
  uint32_t collection_revision() const { return collection_->revision; }
  const v1::ImportState& durable() const { return durable_; }

  // Rows in ascending order of number. What they cannot be taken in for is in take_rejects().
  // `ahead`: they are only built, on both threads, while one of them looks up and decides about
  // those of the call before; what becomes of them is known behind the next call.
  Result<void> add(const v1::SignedTicket& ticket, Rows rows, const v1::SourcePosition& position,
                   bool ahead = false);
  // Makes everything added durable.
  Result<void> finish(const v1::SignedTicket& ticket, const v1::SourcePosition& position);
  // Commits the chunk as it is, rows that wait left waiting; others then see in the store what
  // became of it.
  void settle();
  // From now on notes which record each new row became.
  void tell_places() { tell_places_ = true; }
  std::vector<v1::PlacedRow> take_places() { return std::exchange(places_, {}); }
  // Rows refused since the last call.
  std::vector<v1::RejectedRow> take_rejects() { return std::exchange(rejects_, {}); }

 private:
  enum class Fate { kInsert, kUpdate, kUnchanged, kTaken, kWait };
  struct Deferred {
    v1::ImportRow row;
    std::vector<UniqueKey> keys;
  };
  struct Update {
    size_t prepared;
    RecordVersion old;
  };
  struct UniqueRowBytes {
    UniqueKey key;
    ByteArray<index::kUniqueValueSize> value;
  };
  using KeySet = std::unordered_set<UniqueKey, UniqueKeyHash>;
  // What the rows of one batch, so far, are going to change.
  struct Changing {
    KeySet keys;
    std::unordered_set<RecordIndex> records;
  };

  struct Batch {
    Rows rows;  // Wiped and cleared once it is taken.
    v1::SourcePosition position;
    std::vector<PreparedRow> prepared;  // Reused.
    bool built = false;                 // And not taken.
  };

  // Prepares all rows; touches nothing else of the session.
  void build(Batch& batch, const std::function<void()>& beside);
  // Looks up what was built, decides, and holds, updates or defers.
  Result<void> take(Batch& batch, bool held_back);
  Result<void> take_waiting();
  void build_one(const v1::ImportRow& given, RecordBuilder& builder, PreparedRow& row) const;
  Fate decide(const PreparedRow& row, const Holders& holders, const Changing& changing,
              bool held_back, RecordVersion* old) const;
  void defer(const v1::ImportRow& row, const PreparedRow& prepared);
  Result<void> process_deferred();
  Result<void> update(std::span<const PreparedRow> prepared, std::vector<Update> updates);
  // The held rows sealed, into rows_ and packer_ or, without a packer, into `online`.
  Result<void> seal_held(std::vector<OnlineWrite>& online);
  Result<WriteGrant> ask_for(size_t records);
  Result<void> next_secret(size_t still_needed, const WriteSecret** secret, RecordVersion* version);
  Result<void> prepare_grant(size_t records_left);
  Result<void> start_packing();
  // Held rows from `first` on, sealed into `writes`, whose versions they get; with a packer, their
  // terms into it. Meanwhile one of the two threads does what is to be done beside that, first.
  Result<void> seal_wave(size_t first, std::span<const WriteSecret> secrets,
                         std::span<OnlineWrite> writes,
                         const std::function<Result<void>()>& beside);
  Result<void> add_rows(std::span<const OnlineWrite> writes);
  Result<void> write_uniques();
  Result<void> commit();
  Result<void> commit_chunk();
  Result<void> commit_packed();
  Result<void> commit_online(std::vector<OnlineWrite> writes);
  void reject(uint64_t number, const std::string& field, const char* reason);
  v1::ImportCheckpoint checkpoint_of(const v1::ImportState& state) const;
  Result<void> save_pending();
  void forget_chunk();

  ImportShared& shared_;
  std::shared_ptr<const Collection> collection_;
  std::array<RecordBuilder, 2> builders_;  // One for each of two threads.
  std::string checkpoint_name_;
  Columns columns_;
  std::optional<size_t> key_field_;  // Position in Collection::unique_fields.
  v1::SignedTicket ticket_;
  v1::ImportState durable_;
  v1::ImportState now_;  // What holds once the chunk is committed.
  Batch next_;
  Batch waiting_;                   // Built, and to be taken.
  std::vector<Deferred> deferred_;  // By --key only: rows that wait for earlier ones.
  Batch deferred_batch_;
  KeySet deferred_keys_;
  WriteGrant grant_, next_grant_;
  size_t grant_used_ = 0;
  // How many records had been erased when the first of this session's numbers was granted.
  std::optional<uint64_t> erasures_before_;
  std::vector<v1::RejectedRow> rejects_;
  bool tell_places_ = false;
  std::vector<v1::PlacedRow> places_;
  std::optional<Error> failed_;

  // The chunk.
  HeldRows held_;
  std::unique_ptr<index::LanePacker> packer_;  // While a chunk for a packed lane is committed.
  LaneId lane_;
  std::unique_ptr<store::SortedRun> rows_;
  std::unique_ptr<index::Spool<UniqueRowBytes>> uniques_;
  std::vector<UniqueKey> claimed_;
  uint64_t chunk_target_;
  RecordVersion last_;
  bool in_doubt_ = false;  // From "pending" to done only the checkpoint may decide about the chunk.
};

// Whether a row of another import is going to stay cannot be known before it is committed, and
// neither "taken" nor "unchanged" may be told from it: so it is. Worker thread only.
void settle_pending(ImportShared& shared, std::span<const PreparedRow> rows,
                    const ImportSession* but);

// Repairs a chunk that was being committed when the gateway stopped. Worker thread only.
Result<v1::ImportState> recover_import(ImportShared& shared, const std::string& name,
                                       v1::ImportCheckpoint checkpoint);

}  // namespace strongroom::gateway
