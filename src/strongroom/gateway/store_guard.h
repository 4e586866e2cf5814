// Whether the store and the term key are those that the key server's log knows: a store that was
// put back or cut off is found out at the start, before anything is answered from it.
//
// Each second in which something was written the gateway has the log say how far the store is:
// the number of its last durable write, the packed lanes that are in it, and how the engine's list
// of its files begins. A store that is behind that has lost what was acknowledged.
// Spec: docs/spec/gateway.md
#pragma once

#include <atomic>
#include <chrono>
#include <set>

#include "strongroom/base/secret.h"
#include "strongroom/gateway/key_service.h"
#include "strongroom/store/store.h"

namespace strongroom::gateway {

// H(K_q, "sr1.term-check"): which K_q is a vault's, as vault.json has it in hex. Tells nothing of
// it.
ByteArray<32> term_check(const TermKey& term_key);

// Borrows store and key service.
class StoreGuard {
 public:
  // As the store was opened, before anything was written to it. `accept_lost`: a store that is
  // behind is taken, and the log told so.
  StoreGuard(store::Store& store, KeyService& keys, const TermKey& term_key, bool accept_lost);

  // Event loop only. Once it has been right it stays so.
  //   kDataLoss  Something is behind, missing, or another's; the text says what to do.
  Result<void> check(const v1::SyncReply& log);
  // Before that nothing may be written to the store. Any thread.
  bool checked() const { return checked_; }
  // The same, once it is so or that time is over. Any thread but the event loop's.
  bool wait(std::chrono::milliseconds most) const;
  // Has the log say how far the store is, if that is news. Blocks: one worker thread only.
  Result<void> mark();

 private:
  Result<bool> has_rows(uint32_t lane);
  Result<bool> began_as(const v1::StoreList& list);

  store::Store& store_;
  KeyService& keys_;
  const ByteArray<32> term_check_;
  const bool accept_lost_;
  const uint64_t opened_at_;
  std::atomic<bool> checked_ = false;
  std::atomic<bool> lost_ = false;  // And the log is still to be told.
  // By mark().
  uint64_t marked_ = 0;
  std::pair<uint64_t, uint64_t> marked_list_;  // Number and size.
  std::set<uint32_t> seen_;                    // Lanes that have rows.
};

}  // namespace strongroom::gateway
