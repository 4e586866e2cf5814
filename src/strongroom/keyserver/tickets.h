// Tickets: verified once, spent across calls, each request under one answered once.
//
// What was spent and answered is rebuilt from the release log at start: a ticket cannot be used
// twice by making the server restart. Memory of a ticket goes when it expires.  Spec:
// docs/spec/ticket.md
#pragma once

#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/sign.h"
#include "strongroom/keyserver/answers.h"
#include "strongroom/policy/engine.h"
#include "strongroom/v1/log.pb.h"
#include "strongroom/v1/ticket.pb.h"

namespace strongroom::keyserver {

inline constexpr size_t kTicketBytesMax = 1024;
inline constexpr size_t kCaseReferenceMax = 200;
inline constexpr size_t kRequestIdSize = 16;
inline constexpr size_t kRequestHashSize = 32;
inline constexpr size_t kLoggedHashSize =
    16;  // Of a ticket's or request's hash, as the log keeps it.
inline constexpr uint64_t kClockSkewMs = 60'000;
inline constexpr size_t kTicketsMax = size_t{1} << 18;
inline constexpr size_t kAnswersPerTicketMax = size_t{1} << 20;
inline constexpr size_t kAnswersMax = size_t{1} << 23;

// "strongroom ticket v1\0" | ticket: what a principal signs.
std::string ticket_message(std::string_view ticket);
// For clients and tests: serializes and signs.
v1::SignedTicket sign_ticket(const v1::Ticket& ticket, const crypto::SigningKey& key);

// What a ticket for the erasure of these records, ascending, says in `erases`.
std::string erasure_digest(std::span<const RecordIndex> records);
// What a ticket for a change of this record says in `changes`.
std::string change_digest(RecordIndex record);

// A request under a ticket, as the calls that belong to it name it.
struct RequestRef {
  Bytes id;    // kRequestIdSize
  Bytes hash;  // At least kLoggedHashSize; only that many count.
};

// One verified ticket. Made and kept by TicketBook.
class TicketRecord {
 public:
  const v1::Ticket& ticket() const { return ticket_; }
  CollectionId collection() const { return CollectionId{ticket_.collection()}; }
  Bytes logged_hash() const { return Bytes(digest_).first(kLoggedHashSize); }
  bool logged() const { return logged_; }  // Whether the log holds the signed ticket itself.
  const v1::SignedTicket& signed_ticket() const { return signed_; }
  uint64_t spent() const { return spent_; }
  // Where the call that it was admitted for comes from, as the gateway says: 4 or 16 bytes, or
  // nothing.
  const std::string& from() const { return from_; }

  // Whether a search may be answered under this request id: only as its first call.
  //   kReplayed  Make a new request.
  Result<void> check_search(const RequestRef& request) const;
  // Whether these records may be released under this request id. A find's releases follow its
  // search and carry the same hash; a get has no search. A record leaves once under one request.
  //   kReplayed             One of them left already, or the id belongs to another request.
  //   kFailedPrecondition   A find without its search.
  Result<void> check_release(const RequestRef& request, std::span<const RecordIndex> records,
                             bool get) const;
  // Records released under this request before.
  uint64_t released(Bytes request_id) const;

  template <class A>
  void archive(A& a) {
    a(signed_, generation_, logged_, spent_, answers_);
  }

 private:
  friend class TicketBook;
  v1::Ticket ticket_;
  v1::SignedTicket signed_;  // Without `from`.
  std::string from_;
  crypto::Digest digest_{};
  uint64_t generation_ = 0;  // Of the principal's key it was verified under.
  bool logged_ = false;
  uint64_t spent_ = 0;
  const RequestKeys* keys_ = nullptr;  // The book's.
  Answers answers_;                    // Requests, and records under them.
};

// Not thread-safe. Borrows `engine`, which outlives it.
class TicketBook {
 public:
  TicketBook(ByteArray<16> vault, std::vector<std::string> gateways, const policy::Engine& engine);

  // The record of a ticket that is genuine and live at now_ms; valid until the next admit, note or
  // evict.
  //   kInvalidArgument   Malformed.
  //   kUnauthenticated   Wrong vault or gateway, unknown principal, bad signature, expired, living
  //   too long, or a second
  //                      ticket with one nonce.
  //   kUnavailable       Too many live tickets.
  Result<TicketRecord*> admit(const v1::SignedTicket& signed_ticket, uint64_t now_ms);

  // What a logged entry did under its ticket, live or replayed.
  enum class Kind { kSearch, kRelease, kOther };
  void note(const v1::TicketItem& item, Kind kind, std::span<const RecordIndex> records);

  // Forgets what has expired.
  void evict(uint64_t now_ms);
  size_t size() const { return tickets_.size(); }

  // What request ids are remembered under. To be set before anything is.
  const RequestKeys& request_keys() const { return keys_; }
  void set_request_keys(const RequestKeys& keys) { keys_ = keys; }
  template <class A>
  void archive(A& a) {
    a(keys_, tickets_);
    if constexpr (A::kReading) {
      if (!restore()) a.fail();
    }
  }

 private:
  using Key = ByteArray<kLoggedHashSize>;
  struct KeyHash {
    size_t operator()(const Key& key) const { return load_le<uint64_t>(key.data()); }
  };
  Result<void> check_terms(const v1::Ticket& ticket, uint64_t now_ms) const;
  Result<TicketRecord*> admit_signed(const v1::SignedTicket& signed_ticket, uint64_t now_ms);
  Result<TicketRecord*> admit_known(TicketRecord& record, const v1::SignedTicket& signed_ticket,
                                    uint64_t now_ms);
  static std::string nonce_key(const v1::Ticket& ticket);
  // What follows from the tickets read back. False: one of them is none.
  bool restore();
  TicketRecord* remember(const v1::SignedTicket& signed_ticket, v1::Ticket ticket,
                         const crypto::Digest& digest, uint64_t generation);

  ByteArray<16> vault_;
  std::vector<std::string> gateways_;
  const policy::Engine& engine_;
  RequestKeys keys_;
  std::unordered_map<Key, TicketRecord, KeyHash> tickets_;
  std::unordered_map<std::string, Key> nonces_;  // principal | nonce
  std::set<std::pair<uint64_t, Key>> by_expiry_;
  TicketRecord* last_ = nullptr;  // Admitted last: the next call is often under the same one.
  size_t answers_ = 0;
};

}  // namespace strongroom::keyserver
