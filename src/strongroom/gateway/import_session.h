// One import under way: rows in, sealed chunks out.
//
// A chunk is committed in this order, so that a crash between any two steps is repaired by its checkpoint alone:
//   checkpoint "pending" | postings and directory of a reserved lane | unique rows | records' rows (the commit point) |
//   lane published | checkpoint done
// Rows present: roll forward. Rows absent: the lane is dropped, unique rows pointing nowhere count as free.
// A small last chunk goes through the online lane instead.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "strongroom/gateway/import_checkpoint.h"
#include "strongroom/gateway/key_service.h"
#include "strongroom/gateway/online_writer.h"
#include "strongroom/gateway/record_builder.h"
#include "strongroom/index/lanes.h"
#include "strongroom/index/unique.h"
#include "strongroom/store/store.h"
#include "strongroom/v1/vault.pb.h"

namespace strongroom::gateway {

struct ImportOptions {
  uint64_t first_chunk_records = uint64_t{1} << 16;  // Doubles with each chunk: lanes stay few, resuming stays near.
  uint64_t chunk_records_max = uint64_t{1} << 19;
  uint64_t online_records_max = 4096;                // A last chunk up to this goes through the online lane.
};

class ImportSession;

using UniqueKey = ByteArray<15>;
struct UniqueKeyHash {
  size_t operator()(const UniqueKey& key) const noexcept { return load_le<uint64_t>(key.data() + 4); }
};
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
  OnlineWriter& online;
  ImportCheckpoints& checkpoints;
  PendingUniques pending;
  ImportOptions options;
};

// Worker thread only. Blocks on store and key server.
class ImportSession {
 public:
  ImportSession(ImportShared& shared, std::shared_ptr<const Collection> collection, const TermKey& term_key,
                std::string checkpoint_name, Columns columns, std::optional<size_t> key_field, v1::ImportState state);
  ~ImportSession();  // Drops what was not committed.

  const std::string& checkpoint_name() const { return checkpoint_name_; }
  const v1::ImportState& durable() const { return durable_; }

  // Rows in ascending order of number.
  Result<void> add(const v1::SignedTicket& ticket, std::span<const v1::ImportRow> rows,
                   const v1::SourcePosition& position);
  Result<void> finish(const v1::SignedTicket& ticket, const v1::SourcePosition& position);
  // Makes everything added durable. Also called by another session that waits for a unique value of this one.
  Result<void> commit();
  // Rows refused since the last call.
  std::vector<v1::RejectedRow> take_rejects() { return std::exchange(rejects_, {}); }

 private:
  struct Prepared {
    uint64_t number = 0;
    bool rejected = false;
    BuiltRecord built;
    std::vector<std::optional<UniqueKey>> unique_keys;
    std::vector<TermToken> unique_tokens;
    std::vector<ByteArray<16>> checks;
  };
  struct Holder {
    RecordVersion version;
    ByteArray<16> check{};
    bool current = false;  // The row it names has exactly this version.
  };
  struct Deferred {
    uint64_t number;
    std::vector<std::string> values;
  };
  struct Update {
    size_t prepared;
    RecordVersion old;
  };
  struct Grant {
    RecordIndex first;
    Version u;
    std::vector<WriteSecret> secrets;
    size_t used = 0;
  };

  Result<void> process(std::span<const v1::ImportRow> rows);
  Result<void> derive_unique(size_t rows);
  Result<void> find_holders(size_t rows, std::unordered_map<UniqueKey, Holder, UniqueKeyHash>& holders);
  Result<void> insert(std::span<const size_t> which);
  Result<void> update(std::span<const Update> updates);
  Result<void> next_secret(size_t still_needed, const WriteSecret** secret, RecordVersion* version);
  Result<void> start_packing();
  Result<void> commit_packed();
  Result<void> commit_online();
  void reject(uint64_t number, const std::string& field, const char* reason);
  v1::ImportCheckpoint pending_checkpoint() const;
  void forget_chunk();
  std::string seal_unique_row(const Prepared& row, size_t which, RecordVersion version) const;

  ImportShared& shared_;
  std::shared_ptr<const Collection> collection_;
  RecordBuilder builder_;
  std::string checkpoint_name_;
  Columns columns_;
  std::optional<size_t> key_field_;  // Position in Collection::unique_fields.
  v1::SignedTicket ticket_;
  v1::ImportState durable_;
  v1::ImportState now_;              // What holds once the chunk is committed.
  std::vector<Prepared> prepared_;   // Reused from batch to batch.
  std::deque<Deferred> deferred_;    // Rows whose key is in a chunk not yet committed.
  Grant grant_;
  std::vector<v1::RejectedRow> rejects_;

  // The chunk.
  std::vector<OnlineWrite> small_;                 // Until it outgrows the online lane.
  std::unique_ptr<index::LanePacker> packer_;      // From then on.
  LaneId lane_;
  std::unique_ptr<store::SortedRun> rows_;
  std::vector<std::pair<UniqueKey, std::string>> uniques_;
  std::vector<UniqueKey> claimed_;
  uint64_t chunk_records_ = 0;
  uint64_t chunk_target_;
  RecordVersion last_;
  bool in_doubt_ = false;  // Between "pending" and done: only the checkpoint may decide what becomes of the chunk.
};

// Repairs a chunk that was being committed when the gateway stopped. Worker thread only.
Result<v1::ImportState> recover_import(ImportShared& shared, const std::string& name, v1::ImportCheckpoint checkpoint);

}  // namespace strongroom::gateway
