#include "strongroom/keyserver/tickets.h"

#include <algorithm>

#include "strongroom/base/ip_address.h"

namespace strongroom::keyserver {
namespace {

constexpr std::string_view kTicketLabel{"strongroom ticket v1\0", 21};
constexpr std::string_view kErasureLabel = "sr1.erase";
constexpr std::string_view kChangeLabel = "sr1.change";

Error bad_ticket(const char* text) {
  return make_error(ErrorCode::kUnauthenticated, text);
}
Error replayed() {
  return make_error(ErrorCode::kReplayed, "This request was already answered; make a new one.");
}

uint64_t hash_key(Bytes request_hash) {
  return load_le<uint64_t>(request_hash.data());
}

bool is_printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  });
}

Result<void> verify(const v1::SignedTicket& signed_ticket, const v1::Principal& who) {
  crypto::PublicKey key{};
  if (who.public_key().size() != key.size()) return bad_ticket("This principal has no key.");
  std::copy_n(as_bytes(who.public_key()).begin(), key.size(), key.begin());
  if (!crypto::verify(key, as_bytes(ticket_message(signed_ticket.ticket())),
                      as_bytes(signed_ticket.signature()))) {
    return bad_ticket(
        "The ticket's signature is not by this principal's registered key. Sign with that key, or "
        "have the new one registered.");
  }
  return {};
}

std::string records_digest(std::string_view label, std::span<const RecordIndex> records) {
  std::string bytes(label);
  for (const RecordIndex idx : records) append_be(bytes, idx.value);
  return std::string(as_text(crypto::sha256({as_bytes(bytes)})));
}

}  // namespace

std::string erasure_digest(std::span<const RecordIndex> records) {
  return records_digest(kErasureLabel, records);
}

std::string change_digest(RecordIndex record) {
  return records_digest(kChangeLabel, std::span(&record, 1));
}

std::string ticket_message(std::string_view ticket) {
  std::string message(kTicketLabel);
  message += ticket;
  return message;
}

v1::SignedTicket sign_ticket(const v1::Ticket& ticket, const crypto::SigningKey& key) {
  v1::SignedTicket out;
  out.set_ticket(ticket.SerializeAsString());
  const auto signature = key.sign(as_bytes(ticket_message(out.ticket())));
  out.set_signature(std::string(as_text(signature)));
  return out;
}

Result<void> TicketRecord::check_search(const RequestRef& request) const {
  if (answers_.find(keys_->of(request.id)) != nullptr) return replayed();
  if (answers_.size() >= kAnswersPerTicketMax) {
    return bad_ticket("This ticket has answered as many requests as one may. Sign a new one.");
  }
  return {};
}

Result<void> TicketRecord::check_release(const RequestRef& request,
                                         std::span<const RecordIndex> records, bool get) const {
  const uint64_t key = keys_->of(request.id);
  const Answer* known = answers_.find(key);
  if (known == nullptr) {
    if (!get) {
      return make_error(ErrorCode::kFailedPrecondition,
                        "No search was answered under this request id. Search first.");
    }
  } else if (known->hash != hash_key(request.hash)) {
    return make_error(ErrorCode::kReplayed,
                      "This request id belongs to another request; make a new one.");
  }
  for (const RecordIndex idx : records) {
    if (answers_.find(record_key(key, idx)) != nullptr) return replayed();
  }
  if (answers_.size() + records.size() > kAnswersPerTicketMax) {
    return bad_ticket("This ticket has answered as many requests as one may. Sign a new one.");
  }
  return {};
}

uint64_t TicketRecord::released(Bytes request_id) const {
  const Answer* known = answers_.find(keys_->of(request_id));
  return known == nullptr ? 0 : known->records;
}

TicketBook::TicketBook(ByteArray<16> vault, std::vector<std::string> gateways,
                       const policy::Engine& engine)
    : vault_(vault), gateways_(std::move(gateways)), engine_(engine) {}

Result<void> TicketBook::check_terms(const v1::Ticket& ticket, uint64_t now_ms) const {
  // A field that this version does not know may be a limit that it would not keep.
  if (!ticket.GetReflection()->GetUnknownFields(ticket).empty()) {
    return bad_ticket("The ticket has a field that this version does not know.");
  }
  if (ticket.nonce().size() != 16) return bad_ticket("A ticket's nonce is 16 bytes.");
  if (!policy::is_principal_name(ticket.principal()) || ticket.purpose().size() > 64 ||
      ticket.case_reference().size() > kCaseReferenceMax ||
      !is_printable(ticket.case_reference())) {
    return bad_ticket("The ticket's principal, purpose or case reference is not well formed.");
  }
  if (as_bytes(ticket.vault()).size() != vault_.size() ||
      !std::equal(vault_.begin(), vault_.end(), as_bytes(ticket.vault()).begin())) {
    return bad_ticket("This ticket is for another vault.");
  }
  if (std::find(gateways_.begin(), gateways_.end(), ticket.gateway()) == gateways_.end()) {
    return bad_ticket("This ticket is for another gateway.");
  }
  if (ticket.expires_ms() <= ticket.issued_ms()) {
    return bad_ticket("This ticket expires before it was issued.");
  }
  if (ticket.expires_ms() - ticket.issued_ms() > engine_.ticket_lifetime_ms_max()) {
    return bad_ticket("This ticket lives longer than the policy allows. Sign a shorter one.");
  }
  if (ticket.issued_ms() > now_ms + kClockSkewMs) {
    return bad_ticket("This ticket was issued in the future. Set the clock it was signed by.");
  }
  if (ticket.expires_ms() <= now_ms) return bad_ticket("This ticket has expired. Sign a new one.");
  return {};
}

std::string TicketBook::nonce_key(const v1::Ticket& ticket) {
  return ticket.principal() + "|" + ticket.nonce();
}

// Everything but who signed it was checked when it was first seen.
Result<TicketRecord*> TicketBook::admit_known(TicketRecord& record,
                                              const v1::SignedTicket& signed_ticket,
                                              uint64_t now_ms) {
  if (record.ticket_.expires_ms() <= now_ms) {
    return bad_ticket("This ticket has expired. Sign a new one.");
  }
  const auto* who = engine_.principal(record.ticket_.principal());
  if (who == nullptr) return bad_ticket("This principal is not registered.");
  if (record.signed_.signature() != signed_ticket.signature() ||
      record.generation_ != who->generation) {
    SR_TRY(verify(signed_ticket, who->principal));
    record.signed_ = signed_ticket;
    record.signed_.clear_from();
    record.generation_ = who->generation;
  }
  if (answers_ >= kAnswersMax) {
    return make_error(ErrorCode::kUnavailable, "Too many requests at once. Try again later.");
  }
  return &record;
}

Result<TicketRecord*> TicketBook::admit(const v1::SignedTicket& signed_ticket, uint64_t now_ms) {
  if (!signed_ticket.from().empty() && !ip_of(as_bytes(signed_ticket.from()))) {
    return bad_ticket("The address that a call comes from is neither of 4 nor of 16 bytes.");
  }
  SR_ASSIGN(TicketRecord* const record, admit_signed(signed_ticket, now_ms));
  record->from_ = signed_ticket.from();
  return record;
}

Result<TicketRecord*> TicketBook::admit_signed(const v1::SignedTicket& signed_ticket,
                                               uint64_t now_ms) {
  const std::string& bytes = signed_ticket.ticket();
  if (bytes.empty() || bytes.size() > kTicketBytesMax || signed_ticket.signature().size() != 64) {
    return bad_ticket("A call needs a ticket of at most 1024 bytes and its signature.");
  }
  if (last_ != nullptr && last_->signed_.ticket() == bytes) {
    return admit_known(*last_, signed_ticket, now_ms);
  }
  const crypto::Digest digest = crypto::sha256(as_bytes(bytes));
  Key key;
  std::copy_n(digest.begin(), key.size(), key.begin());
  if (const auto it = tickets_.find(key); it != tickets_.end()) {
    if (it->second.digest_ != digest) {
      return bad_ticket("This ticket cannot be told apart. Sign a new one.");
    }
    last_ = &it->second;
    return admit_known(it->second, signed_ticket, now_ms);
  }

  v1::Ticket ticket;
  if (!ticket.ParseFromString(bytes)) return bad_ticket("The ticket cannot be read.");
  SR_TRY(check_terms(ticket, now_ms));
  const auto* who = engine_.principal(ticket.principal());
  if (who == nullptr) {
    return bad_ticket("This principal is not registered. Ask whoever keeps the principals.");
  }
  SR_TRY(verify(signed_ticket, who->principal));
  evict(now_ms);
  if (nonces_.contains(nonce_key(ticket))) {
    return bad_ticket("Another ticket with this nonce is in use. Sign a new one.");
  }
  if (tickets_.size() >= kTicketsMax) {
    return make_error(ErrorCode::kUnavailable, "Too many tickets are in use. Try again later.");
  }
  return remember(signed_ticket, std::move(ticket), digest, who->generation);
}

TicketRecord* TicketBook::remember(const v1::SignedTicket& signed_ticket, v1::Ticket ticket,
                                   const crypto::Digest& digest, uint64_t generation) {
  Key key;
  std::copy_n(digest.begin(), key.size(), key.begin());
  TicketRecord& record = tickets_[key];
  nonces_.emplace(nonce_key(ticket), key);
  by_expiry_.emplace(ticket.expires_ms(), key);
  record.ticket_ = std::move(ticket);
  record.signed_ = signed_ticket;
  record.signed_.clear_from();
  record.digest_ = digest;
  record.generation_ = generation;
  record.keys_ = &keys_;
  return &record;
}

bool TicketBook::restore() {
  nonces_.clear();
  by_expiry_.clear();
  last_ = nullptr;
  answers_ = 0;
  for (auto& [key, record] : tickets_) {
    record.digest_ = crypto::sha256(as_bytes(record.signed_.ticket()));
    if (!std::equal(key.begin(), key.end(), record.digest_.begin()) ||
        !record.ticket_.ParseFromString(record.signed_.ticket())) {
      return false;
    }
    record.keys_ = &keys_;
    nonces_.emplace(nonce_key(record.ticket_), key);
    by_expiry_.emplace(record.ticket_.expires_ms(), key);
    answers_ += record.answers_.size();
  }
  return true;
}

void TicketBook::note(const v1::TicketItem& item, Kind kind, std::span<const RecordIndex> records) {
  if (item.ticket_hash().size() != kLoggedHashSize) return;
  Key key;
  std::copy_n(as_bytes(item.ticket_hash()).begin(), key.size(), key.begin());
  auto it = tickets_.find(key);
  if (it == tickets_.end()) {
    v1::SignedTicket signed_ticket;
    v1::Ticket ticket;
    if (item.ticket().empty() || !signed_ticket.ParseFromString(item.ticket()) ||
        !ticket.ParseFromString(signed_ticket.ticket())) {
      return;  // Expired since, and forgotten.
    }
    const auto* who = engine_.principal(ticket.principal());
    remember(signed_ticket, std::move(ticket), crypto::sha256(as_bytes(signed_ticket.ticket())),
             who == nullptr ? 0 : who->generation);
    it = tickets_.find(key);
    if (it == tickets_.end()) return;
  }
  TicketRecord& record = it->second;
  if (!item.ticket().empty()) record.logged_ = true;
  if (kind == Kind::kOther) return;
  if (item.request_id().size() != kRequestIdSize || item.request_hash().size() < 8) return;
  const size_t before = record.answers_.size();
  const uint64_t request = keys_.of(as_bytes(item.request_id()));
  Answer& answer = record.answers_.add(request);
  answer.hash = hash_key(as_bytes(item.request_hash()));
  if (kind == Kind::kRelease) {
    answer.records += item.charge();
    record.spent_ += item.charge();
    for (const RecordIndex idx : records) record.answers_.add(record_key(request, idx));
  }
  answers_ += record.answers_.size() - before;
}

void TicketBook::evict(uint64_t now_ms) {
  while (!by_expiry_.empty() && by_expiry_.begin()->first <= now_ms) {
    const auto it = tickets_.find(by_expiry_.begin()->second);
    if (it != tickets_.end()) {
      answers_ -= it->second.answers_.size();
      nonces_.erase(nonce_key(it->second.ticket_));
      if (last_ == &it->second) last_ = nullptr;
      tickets_.erase(it);
    }
    by_expiry_.erase(by_expiry_.begin());
  }
}

}  // namespace strongroom::keyserver
