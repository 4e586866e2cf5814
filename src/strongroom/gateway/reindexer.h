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
#pragma once

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
  Result<v1::ReindexReply> call(const v1::SignedTicket& ticket, bool finish);
  Result<Found> read(const v1::ReindexProgress& progress, size_t most) const;
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
  Result<void> add_terms(const Old& old, Bytes keys, index::LanePacker& packer);

  ImportShared& shared_;
  std::shared_ptr<const Collection> collection_;
  RecordBuilder builder_;
  BuiltRecord built_;
  Columns columns_;              // Fields of these groups.
  std::vector<GroupId> groups_;  // Those with a field that is indexed.
};

}  // namespace strongroom::gateway
