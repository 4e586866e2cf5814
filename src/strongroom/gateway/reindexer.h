// Brings records that were written before an index was added under it. Each is opened, all its
// terms are made anew, and the terms of a step go into one packed lane: rows stay as they are, and
// only sealed postings come to the store.
//
// All terms, not the new ones alone, since conjunctions are decided lane by lane. A record is then
// in two lanes, under the same version: search() takes it once, and merging makes them one.
//
// A step is done in this order, so that a crash between any two costs that step and nothing else:
//   postings and directory of a reserved lane | lane published | checkpoint
// A record changed meanwhile has a newer row, with all terms; what the step posts of it is
// superseded.
//
// A renewal is the same for all records, under another key, and each pass over the collection takes
// what was written since the last. Its lanes are searched from its end on, when they take the place
// of all others. That end comes behind a pass in which nothing is written: on this one thread.
// Spec: docs/spec/renewal.md
#pragma once

#include <map>
#include <optional>

#include "strongroom/gateway/import_session.h"

namespace strongroom::gateway {

// On the thread of the imports. Blocks on store and key server.
class Reindexer {
 public:
  Reindexer(ImportShared& shared, std::shared_ptr<const Collection> collection,
            const TermKey& term_key);
  // Does up to request.records_max() records, or reads on for a while.
  //   kFailedPrecondition  No index waits for older records, or a record holds a value that the new
  //                        index refuses.
  //   kDataLoss            A row or the checkpoint is damaged.
  //   and whatever the key server refuses with.
  Result<v1::ReindexResponse> step(const v1::ReindexRequest& request);

 private:
  struct Old {
    RecordVersion version;
    std::string row;
  };
  struct Found {
    std::vector<Old> old;
    uint64_t next = 0;  // idx
    uint64_t passed = 0;
    bool end = true;
  };
  struct Range {
    uint64_t from = 0;  // idx
    uint64_t from_u = 0;
    uint64_t below_u = UINT64_MAX;
    size_t records_max = 0;
    size_t rows_max = 0;  // Passed.
  };
  Result<v1::ReindexReply> call(const v1::SignedTicket& ticket, bool finish);
  Result<Found> read(const Range& range) const;
  // What several have signed: which groups, under which key.
  void prepare(const v1::ReindexReply& begun);
  // Behind the last record of a pass: whether it was the last pass.
  Result<bool> close_renewal(const v1::ReindexRequest& request, v1::ReindexProgress& progress);
  struct Packed {
    size_t old = 0;        // So many of the first.
    uint64_t indexed = 0;  // Without those erased meanwhile.
  };
  // `old`, in a lane that is searched; not all of it where a budget ends in between, say.
  Result<Packed> index(const v1::SignedTicket& ticket, std::span<const Old> old);
  Result<Packed> pack(const v1::SignedTicket& ticket, std::span<const Old> old,
                      index::LanePacker& packer);
  Result<uint64_t> pack_some(const v1::SignedTicket& ticket, std::span<const Old> some,
                             index::LanePacker& packer);
  Result<void> write(index::LanePacker& packer);
  // The keys of those of `old` that are not erased; the others leave it.
  Result<std::string> open(const v1::SignedTicket& ticket, std::vector<const Old*>& old);
  Result<void> add_terms(const Old& old, Bytes keys, PreparedRow& row, index::LanePacker& packer);
  Result<void> add_uniques(const v1::SignedTicket& ticket, std::span<const Old* const> old,
                           std::span<PreparedRow> rows);
  Result<void> write_uniques();

  ImportShared& shared_;
  std::shared_ptr<const Collection> collection_;  // A renewal: as it will be.
  const TermKey& term_key_;
  bool renews_ = false;
  bool whole_ = false;  // With all fields: unique rows bear a check of them.
  std::optional<RecordBuilder> builder_;
  std::map<UniqueKey, std::string> uniques_;  // Of this step, sealed.
  Columns columns_;                           // Fields of these groups.
  std::vector<GroupId> groups_;               // Those with a field that is indexed, or all.
};

// Unique rows from before the last renewal, which nobody can read any more.
Result<void> drop_old_uniques(store::Store& store, const Collection& collection);

}  // namespace strongroom::gateway
