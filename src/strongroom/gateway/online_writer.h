// Writing one record at a time: online lanes, postings before rows, old versions posted as dead.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "strongroom/env/clock.h"
#include "strongroom/gateway/key_service.h"
#include "strongroom/gateway/record_builder.h"
#include "strongroom/index/lanes.h"
#include "strongroom/store/store.h"

namespace strongroom::gateway {

// A record sealed and ready, with what makes it findable.
struct OnlineWrite {
  RecordVersion version;
  std::optional<Version> superseded;  // The version this one replaces.
  std::string row;
  std::vector<TermHash> terms;
  std::vector<store::Put> unique;  // Rows of its unique fields.
};

// Blocks on store and key server: worker threads only. Not thread-safe.
class OnlineWriter {
 public:
  OnlineWriter(store::Store& store, KeyService& keys, env::Clock& clock, const TermKey& term_key);

  // Durable when it returns. In order: postings and unique rows, then the records' rows, which are
  // the commit point. An error means that none of the rows, or all of them, are in. `update`: a
  // lane that it takes is asked for under the action UPDATE. Many writes, each of another record,
  // get a lane of their own with their postings packed: a search reads these by blocks.
  Result<void> write(CollectionId collection, index::WritePadding padding,
                     const v1::SignedTicket& ticket, std::vector<OnlineWrite> writes,
                     bool update = false);

  // The collection's lane takes no more; the next write opens another.
  Result<void> close(CollectionId collection);
  // The same behind many writes: what is posted one by one is read one by one, by every search for
  // a common term, until the lane is closed and merged into a packed one.
  Result<void> close_if_large(CollectionId collection);

 private:
  struct OpenLane {
    index::OnlineLane lane;
    uint64_t opened_us;
  };
  // What is posted about some writes, ready to be stored.
  struct Posted {
    std::vector<index::SealedRow> postings, directory;
    bool ascending = false;  // By key.
  };
  Result<Posted> post(CollectionId collection, index::WritePadding padding,
                      const v1::SignedTicket& ticket, std::span<const OnlineWrite> writes,
                      bool update);
  // In `lane`, which is for these alone.
  Result<Posted> post_packed(CollectionId collection, LaneId lane, LaneRoot root,
                             std::span<const OnlineWrite> writes);
  Result<void> store(CollectionId collection, const Posted& posted,
                     std::vector<OnlineWrite> writes);
  Result<void> close_lane(LaneId lane);
  void close_written();
  Result<index::OnlineLane*> lane(CollectionId collection, const v1::SignedTicket& ticket,
                                  bool update);

  store::Store& store_;
  KeyService& keys_;
  env::Clock& clock_;
  index::TermHasher hasher_;
  std::map<CollectionId, OpenLane> open_;
  std::vector<LaneId> written_;  // Packed ones, and not closed yet.
};

// A request id nobody used before.
std::string fresh_request_id();
// The key server answered with something that does not fit what was asked.
Error malformed_reply();

}  // namespace strongroom::gateway
