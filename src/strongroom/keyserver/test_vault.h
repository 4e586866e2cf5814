// A small vault in a folder of its own, for tests, fuzzers and benchmarks.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>

#include "strongroom/crypto/random.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/tickets.h"

namespace strongroom::keyserver {

// In memory where the system offers that, since tests sync a lot; a benchmark wants the disk.
class TempDir {
 public:
  explicit TempDir(bool on_disk = false) {
    std::filesystem::path parent = "/dev/shm";
    if (on_disk || access(parent.c_str(), W_OK) != 0) {
      parent = std::filesystem::temp_directory_path();
    }
    std::string path = (parent / "srks.XXXXXX").string();
    SR_CHECK(mkdtemp(path.data()) != nullptr, "a temporary folder");
    path_ = path;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline constexpr uint32_t kPerson = 1;
inline constexpr uint32_t kParcel = 2;
inline constexpr const char* kGateway = "gateway-1";

inline const std::string kTerm(16, 't');  // The hash of a term to search for.

inline bool says(const v1::Reply& reply, ErrorCode code) {
  return reply.has_error() && reply.error().code() == static_cast<uint32_t>(code);
}

// What stood at `to` is gone.
inline void copy_tree(const std::string& from, const std::string& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

inline std::string fresh(size_t size) {
  std::string bytes(size, '\0');
  crypto::random_bytes({reinterpret_cast<uint8_t*>(bytes.data()), size});
  return bytes;
}

inline v1::Collection test_collection(uint32_t id, const std::string& name) {
  v1::Collection collection;
  collection.set_id(id);
  collection.set_name(name);
  for (const auto& [group, text] : {std::pair{1, "identity"}, {2, "contact"}}) {
    auto& added = *collection.add_groups();
    added.set_id(static_cast<uint32_t>(group));
    added.set_name(text);
  }
  const auto add_field = [&](uint32_t number, const char* text, v1::FieldType type,
                             const char* group) -> v1::Field& {
    auto& field = *collection.add_fields();
    field.set_id(number);
    field.set_name(text);
    field.set_type(type);
    field.set_group(group);
    field.add_index(v1::EXACT);
    return field;
  };
  add_field(1, "name", v1::NAME, "identity");
  add_field(2, "number", v1::CODE, "identity").set_unique(true);
  add_field(3, "phone", v1::PHONE, "contact").set_region("CN");
  return collection;
}

inline v1::Grant& add_grant(v1::Role& role, const char* collection, const char* purpose,
                            std::initializer_list<v1::Action> actions) {
  v1::Grant& grant = *role.add_grants();
  grant.set_collection(collection);
  grant.add_purposes(purpose);
  for (const v1::Action action : actions) grant.add_actions(action);
  v1::Budget& budget = *grant.mutable_budget();
  budget.set_records_per_hour(100);
  budget.set_records_per_day(500);
  budget.set_searches_per_hour(1000);
  budget.set_searches_per_day(5000);
  budget.set_writes_per_day(1'000'000);
  return grant;
}

inline v1::Policy test_policy() {
  v1::Policy policy;
  for (const char* name : {"investigation", "service", "import"}) {
    policy.add_purposes()->set_name(name);
  }
  policy.mutable_purposes(0)->set_case_required(true);
  v1::Role& clerk = *policy.add_roles();
  clerk.set_name("clerk");
  for (const char* purpose : {"investigation", "service"}) {
    v1::Grant& grant = add_grant(clerk, "person", purpose, {v1::FIND, v1::COUNT, v1::GET});
    grant.add_groups("identity");
    grant.add_groups("masked");
    grant.set_records_per_query(20);
  }
  v1::Role& operator_role = *policy.add_roles();
  operator_role.set_name("operator");
  for (const char* collection : {"person", "parcel"}) {
    add_grant(operator_role, collection, "import", {v1::IMPORT});
  }
  operator_role.add_powers(v1::MANAGE_COLLECTIONS);
  operator_role.add_powers(v1::MANAGE_PRINCIPALS);
  operator_role.add_powers(v1::READ_STATUS);
  v1::Role& officer = *policy.add_roles();
  officer.set_name("officer");
  officer.add_powers(v1::MANAGE_POLICY);
  officer.add_powers(v1::READ_LOG);
  officer.add_powers(v1::FREEZE);
  v1::Role& approver = *policy.add_roles();
  approver.set_name("approver");
  approver.add_powers(v1::APPROVE);
  return policy;
}

struct TicketOptions {
  std::string principal = "clerk";
  std::string purpose = "service";
  std::string case_reference = {};
  uint32_t collection = kPerson;
  uint64_t records_max = 50;
  uint64_t lifetime_ms = 600'000;
};

class TestVault {
 public:
  explicit TestVault(env::Files& files = env::real_files(), bool on_disk = false)
      : files_(files), temp_(on_disk), root_(crypto::random_secret<SealingKey>()) {
    options_ = {temp_.path() + "/keyserver",
                temp_.path() + "/keyserver-mirror",
                "test",
                crypto::sha256(as_bytes(compactor_credential_)),
                crypto::sha256(as_bytes(sender_credential_)),
                crypto::sha256(as_bytes(courier_credential_))};
    for (const auto& [name, role] : {std::pair{"clerk", "clerk"},
                                     {"operator", "operator"},
                                     {"officer", "officer"},
                                     {"approver1", "approver"},
                                     {"approver2", "approver"},
                                     {"approver3", "approver"}}) {
      const auto key = keys_.emplace(name, crypto::SigningKey::generate()).first;
      v1::Principal& principal = founding_.principals.emplace_back();
      principal.set_name(name);
      principal.set_role(role);
      principal.set_public_key(std::string(as_text(key->second.public_key())));
    }
    founding_.collections = {test_collection(kPerson, "person"),
                             test_collection(kParcel, "parcel")};
    founding_.policy = test_policy();
  }

  Result<void> create(v1::VaultFile vault = {}) {
    vault.set_name("test");
    vault.add_gateways(kGateway);
    SR_ASSIGN(server_, KeyServer::create(options_, vault, root_, founding_, files_, clock_));
    return {};
  }
  Result<void> open() {
    server_.reset();
    SR_ASSIGN(server_, KeyServer::open(options_, root_, files_, clock_));
    return {};
  }
  void close() { server_.reset(); }

  KeyServer& server() { return *server_; }
  env::ManualClock& clock() { return clock_; }
  const KeyServerOptions& options() const { return options_; }
  KeyServerOptions& options() { return options_; }
  const std::string& compactor_credential() const { return compactor_credential_; }
  const std::string& sender_credential() const { return sender_credential_; }
  const std::string& courier_credential() const { return courier_credential_; }
  const std::string& dir() const { return temp_.path(); }
  const SealingKey& root() const { return root_; }
  void set_root(SealingKey root) { root_ = std::move(root); }
  Founding& founding() { return founding_; }
  const crypto::SigningKey& key(const std::string& principal) const { return keys_.at(principal); }
  void set_key(const std::string& principal, crypto::SigningKey key) {
    keys_.insert_or_assign(principal, std::move(key));
  }

  v1::Ticket ticket_terms(const TicketOptions& options = {}) const {
    v1::Ticket ticket;
    ticket.set_vault(std::string(as_text(vault_bytes())));
    ticket.set_gateway(kGateway);
    ticket.set_principal(options.principal);
    ticket.set_purpose(options.purpose);
    ticket.set_case_reference(options.case_reference);
    ticket.set_collection(options.collection);
    ticket.set_records_max(options.records_max);
    ticket.set_nonce(fresh(16));
    ticket.set_issued_ms(clock_.wall_ms());
    ticket.set_expires_ms(clock_.wall_ms() + options.lifetime_ms);
    return ticket;
  }
  v1::SignedTicket ticket(const TicketOptions& options = {}) const {
    return sign_ticket(ticket_terms(options), key(options.principal));
  }
  v1::SignedTicket import_ticket(uint32_t collection = kPerson) const {
    return ticket({.principal = "operator", .purpose = "import", .collection = collection});
  }
  // For a change of this record of person, and nothing else.
  v1::SignedTicket change_ticket(const std::string& who, const std::string& purpose,
                                 RecordIndex record, uint64_t records_max = 10) const {
    v1::Ticket terms =
        ticket_terms({.principal = who, .purpose = purpose, .records_max = records_max});
    terms.set_changes(change_digest(record));
    return sign_ticket(terms, key(who));
  }
  ByteArray<16> vault_bytes() const {
    ByteArray<16> id{};
    SR_CHECK(from_hex(server_->vault_file().vault(), id), "a vault id");
    return id;
  }

  // One approver's signature on a request, or against it.
  Result<v1::RequestView> sign(const std::string& who, uint64_t id, bool deny = false) {
    v1::ListRequestsRequest list;
    list.set_id(id);
    SR_ASSIGN(const auto listed, server_->list_requests(who, list));
    v1::SignRequestRequest request;
    request.set_id(id);
    request.set_deny(deny);
    const auto decision = deny ? policy::Decision::kDeny : policy::Decision::kApprove;
    const std::string message = policy::approval_message(decision, listed.requests(0).request());
    request.set_signature(std::string(as_text(key(who).sign(as_bytes(message)))));
    SR_ASSIGN(const auto response, server_->sign_request(who, request));
    return response.request();
  }
  // By as many as it takes.
  void approve(uint64_t id) {
    SR_CHECK(sign("approver1", id).has_value(), "a first approval");
    const auto last = sign("approver2", id);
    SR_CHECK(last.has_value() && last->state() == v1::RequestView::DONE, "a second approval");
  }

  v1::Reply call(const v1::Call& call) {
    v1::CallBatch batch;
    *batch.add_calls() = call;
    auto replies = server_->handle(std::move(batch));
    SR_CHECK(replies.replies_size() == 1, "a reply for each call");
    return replies.replies(0);
  }

 private:
  env::Files& files_;
  TempDir temp_;
  env::ManualClock clock_;
  SealingKey root_;
  const std::string compactor_credential_ = fresh(32);
  const std::string sender_credential_ = fresh(32);
  const std::string courier_credential_ = fresh(32);
  KeyServerOptions options_;
  std::map<std::string, crypto::SigningKey> keys_;
  Founding founding_;
  std::unique_ptr<KeyServer> server_;
};

// Calls, each under a fresh request id unless one is given.
struct RequestId {
  std::string id = fresh(kRequestIdSize);
  std::string hash = fresh(kRequestHashSize);
};

inline v1::Call tokens_call(const v1::SignedTicket& ticket, const RequestId& request,
                            std::vector<std::string> h_w, bool count_only = false) {
  v1::Call call;
  auto& tokens = *call.mutable_tokens();
  *tokens.mutable_ticket() = ticket;
  tokens.set_request_id(request.id);
  tokens.set_request_hash(request.hash);
  for (std::string& term : h_w) {  // Of the first field: names, in the group that clerks open.
    auto& added = *tokens.add_terms();
    added.set_h_w(std::move(term));
    added.set_field(1);
    added.set_kind(v1::EXACT);
  }
  tokens.set_count_only(count_only);
  return call;
}

inline v1::Call release_call(const v1::SignedTicket& ticket, const RequestId& request,
                             const std::vector<std::pair<uint64_t, uint64_t>>& items,
                             uint32_t groups = 2, bool get = false) {
  v1::Call call;
  auto& release = *call.mutable_release();
  *release.mutable_ticket() = ticket;
  release.set_request_id(request.id);
  release.set_request_hash(request.hash);
  for (const auto& [idx, u] : items) {
    auto& item = *release.add_items();
    item.set_idx(idx);
    item.set_u(u);
  }
  release.set_groups(groups);
  release.set_get(get);
  return call;
}

inline v1::Call grant_call(const v1::SignedTicket& ticket, uint32_t count) {
  v1::Call call;
  *call.mutable_grant()->mutable_ticket() = ticket;
  call.mutable_grant()->set_request_id(fresh(kRequestIdSize));
  call.mutable_grant()->set_count(count);
  return call;
}

inline v1::Call update_call(const v1::SignedTicket& ticket,
                            const std::vector<std::pair<uint64_t, uint64_t>>& items) {
  v1::Call call;
  auto& update = *call.mutable_update_grant();
  *update.mutable_ticket() = ticket;
  update.set_request_id(fresh(kRequestIdSize));
  for (const auto& [idx, above] : items) {
    auto& item = *update.add_items();
    item.set_idx(idx);
    item.set_above_u(above);
  }
  return call;
}

inline v1::Call lane_call(const v1::SignedTicket& ticket, bool packed) {
  v1::Call call;
  *call.mutable_open_lane()->mutable_ticket() = ticket;
  call.mutable_open_lane()->set_request_id(fresh(kRequestIdSize));
  call.mutable_open_lane()->set_packed(packed);
  return call;
}

inline v1::Call publish_call(uint32_t lane, v1::PublishLaneCall::Change change) {
  v1::Call call;
  call.mutable_publish_lane()->set_lane(lane);
  call.mutable_publish_lane()->set_change(change);
  return call;
}

inline v1::Call begin_merge_call(const std::string& credential, std::vector<uint32_t> sources,
                                 uint32_t collection = kPerson) {
  v1::Call call;
  auto& begin = *call.mutable_begin_merge();
  begin.set_credential(credential);
  begin.set_collection(collection);
  begin.mutable_sources()->Add(sources.begin(), sources.end());
  return call;
}

inline v1::Call finish_merge_call(const std::string& credential, uint32_t lane,
                                  std::vector<uint32_t> sources) {
  v1::Call call;
  auto& finish = *call.mutable_finish_merge();
  finish.set_credential(credential);
  finish.set_lane(lane);
  finish.mutable_sources()->Add(sources.begin(), sources.end());
  return call;
}

inline v1::Call unique_call(const v1::SignedTicket& ticket, std::vector<std::string> h_w) {
  v1::Call call;
  auto& unique = *call.mutable_unique_tokens();
  *unique.mutable_ticket() = ticket;
  unique.set_request_id(fresh(kRequestIdSize));
  for (std::string& term : h_w) *unique.add_h_w() = std::move(term);
  return call;
}

}  // namespace strongroom::keyserver
