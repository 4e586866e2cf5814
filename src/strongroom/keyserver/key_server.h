// The key server: policy decides, the entry is durable in the release log, the key or token leaves.
// In this order always.
//
// Everything a gateway sends is untrusted: sizes, lengths, lanes, records, ids. A batch of calls
// shares one group of the log and one fsync. Single-threaded: one event loop owns it.
//
//   DIR/keyserver/{vault.json, log/, state/}   DIR/keyserver-mirror/state/
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/crypto/derive.h"
#include "strongroom/crypto/shamir.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/keyserver/admin_auth.h"
#include "strongroom/keyserver/counters.h"
#include "strongroom/keyserver/ledger.h"
#include "strongroom/keyserver/state.h"
#include "strongroom/keyserver/witnessing.h"
#include "strongroom/tlog/release_log.h"
#include "strongroom/v1/admin.pb.h"
#include "strongroom/v1/keyservice.pb.h"
#include "strongroom/v1/vaultfile.pb.h"

namespace strongroom::keyserver {

inline constexpr size_t kCallsMax = 4096;  // In a batch.
inline constexpr size_t kTermsMax = 256;   // In a TokensCall.
inline constexpr size_t kReleaseItemsMax = 1000;
inline constexpr size_t kUniqueTermsMax = 4096;
inline constexpr size_t kUpdateItemsMax = 4096;
inline constexpr size_t kReplyBytesMax =
    size_t{14} << 20;  // Of secrets in a batch: the transport takes 16 MiB.
inline constexpr uint64_t kEpochMs = 3'600'000;
inline constexpr size_t kEpochErasures = 1000;  // End an epoch sooner.
inline constexpr size_t kEraseItemsMax = 1000;
inline constexpr uint32_t kLogEntriesMax = 1000;

struct KeyServerOptions {
  std::string dir;         // DIR/keyserver
  std::string mirror_dir;  // DIR/keyserver-mirror: better on another disk.
  std::string version;     // Of the program, for the log and `status`.
  // SHA-256 of what the compactor shows with its calls. None: nobody may merge.
  std::optional<ByteArray<32>> compactor_credential = {};
  // The same of the process that sends alarms on.
  std::optional<ByteArray<32>> sender_credential = {};
  // The same of the process that carries checkpoints to witnesses.
  std::optional<ByteArray<32>> courier_credential = {};
  Hardware* hardware = nullptr;  // The vault's TPM, borrowed; without one, none.
  // The root key is of that TPM, and nobody was asked: what was sealed on command stays so.
  bool unattended = false;
  uint64_t counters_every = kCountersEvery;  // Entries.
  std::string folder = {};                   // DIR, absolute: told to whoever backs it up.
};

// The backup that dir and mirror_dir were filled from.
struct RestoreFrom {
  std::string id;
  uint64_t log_size = 0;  // Its log's: store and key state are as of this entry.
  uint64_t taken_ms = 0;
  bool newest_log = false;  // The log is not the backup's but the last there was.
};

// What a vault starts with. Policy version 0 becomes 1; collections start at revision 1.
struct Founding {
  std::vector<v1::Collection> collections;
  v1::Policy policy;
  std::vector<v1::Principal> principals;
};

// Not thread-safe. Borrows files and clock, which outlive it.
class KeyServer {
 public:
  // A new vault: key state, log with its first entries, first checkpoint, and last of all
  // vault.json. `vault` brings name, dev, shares, threshold and gateways; id, origin, log key, root
  // check and time are filled in.
  //   kAlreadyExists    There is one here.
  //   kInvalidArgument  The founding is not sound; `problem`, where given, says which item.
  static Result<std::unique_ptr<KeyServer>> create(const KeyServerOptions& options,
                                                   v1::VaultFile vault, const SealingKey& root,
                                                   const Founding& founding, env::Files& files,
                                                   const env::Clock& clock,
                                                   policy::Problem* problem = nullptr);
  // Replays the log, checks that the key state agrees, begins a new epoch, logs a start entry.
  // Finishes what a change of the root key left over.
  //   kPermissionDenied    The root key is another vault's.
  //   kFailedPrecondition  The clock is behind the log, or it was sealed on command and is opened
  //                        unattended. Nothing was changed.
  //   kDataLoss            Log or state damaged, edited or rolled back; the text says what to do.
  static Result<std::unique_ptr<KeyServer>> open(const KeyServerOptions& options,
                                                 const SealingKey& root, env::Files& files,
                                                 const env::Clock& clock);
  // Makes a vault of a backup's files: an entry from which on no record number, version or lane is
  // given out that the vault may have given out since, and nothing counts as stored that is not.
  // Without the newest log its end may be lost: then the log goes on under a new origin, for
  // witnesses know the old one. open() must follow.
  //   kFailedPrecondition  A collection was changed since; the clock.
  //   As open() else. What is in the folders is then of no use: copy them again.
  static Result<void> restore(const KeyServerOptions& options, const SealingKey& root,
                              const RestoreFrom& from, env::Files& files, const env::Clock& clock);
  ~KeyServer();

  // Answers a gateway's calls, in order. Replies hold secrets: the transport wipes them.
  // `meanwhile` is called once the batch is durable and before any of its keys leaves. Calls of the
  // admin listener may be made there; what they freeze is cut off from this batch too.
  v1::ReplyBatch handle(v1::CallBatch&& batch, const std::function<void()>& meanwhile = {});
  // The log or the state could not be written: every call is refused from now on. Stop the process.
  bool failed() const { return failed_; }
  // It was sealed on command: nothing leaves any more. Destroy it, and end the process.
  bool sealed() const { return sealed_; }
  // For tests: what is written down or read in the background.
  Counters& counters() { return *counters_; }
  // Each second: writes the checkpoint, forgets expired tickets, logs what was refused when a
  // minute has passed, begins a new epoch when an hour has.
  Result<void> tick();

  const v1::VaultFile& vault_file() const { return vault_; }
  std::string checkpoint_note() const { return log_->checkpoint_note(); }

  // The admin listener. First authenticate(), then one of the calls below with the principal it
  // returned.
  Result<std::string> authenticate(std::string_view path, Bytes body_sha256,
                                   std::string_view authorization);
  // A call of the admin listener was refused: by authenticate(), then `who` is empty, or by the
  // call.
  void note_refused_call(const std::string& who, const Error& error);
  // Value of the strongroom-signature header for this reply; empty for a call of which a part is
  // missing or malformed, since a signature would not say what it answers.
  std::string sign_reply(const AdminCall& call, const AdminReply& reply) const;

  //   kPermissionDenied   The principal's role lacks the power.
  //   kLogUnavailable     Not logged, so not done. failed() is true.
  Result<v1::StatusResponse> status(const std::string& who, const v1::StatusRequest& request) const;
  Result<v1::ApplyCollectionResponse> apply_collection(const std::string& who,
                                                       const v1::ApplyCollectionRequest& request);
  Result<v1::ListCollectionsResponse> list_collections(
      const std::string& who, const v1::ListCollectionsRequest& request) const;
  Result<v1::ApplyPolicyResponse> apply_policy(const std::string& who,
                                               const v1::ApplyPolicyRequest& request);
  Result<v1::ShowPolicyResponse> show_policy(const std::string& who,
                                             const v1::ShowPolicyRequest& request) const;
  Result<v1::AddPrincipalResponse> add_principal(const std::string& who,
                                                 const v1::AddPrincipalRequest& request);
  Result<v1::ListPrincipalsResponse> list_principals(
      const std::string& who, const v1::ListPrincipalsRequest& request) const;
  Result<v1::DisablePrincipalResponse> disable_principal(
      const std::string& who, const v1::DisablePrincipalRequest& request);
  Result<v1::RekeyPrincipalResponse> rekey_principal(const std::string& who,
                                                     const v1::RekeyPrincipalRequest& request);
  // Holds at once, for calls that wait for the log too, and is durable when this returns.
  //   kInvalidArgument  Not a scope, or the reason is too long.
  //   kLogUnavailable   Frozen in memory, and nothing leaves at all any more.
  Result<v1::FreezeResponse> freeze(const std::string& who, const v1::FreezeRequest& request);
  Result<v1::ThawResponse> thaw(const std::string& who, const v1::ThawRequest& request);
  // Nothing leaves from then on, what is under way included; sealed() is true.
  //   kFailedPrecondition  A --dev vault, which would open itself at once.
  Result<v1::SealResponse> seal(const std::string& who, const v1::SealRequest& request);
  //   kInvalidArgument, kNotFound  The holders cannot be those.
  Result<v1::ChangeRootResponse> change_root(const std::string& who,
                                             const v1::ChangeRootRequest& request);
  // Logged before the share leaves.
  //   kAlreadyExists       It was taken before.
  //   kFailedPrecondition  There is no change under way in which the principal holds a share.
  Result<v1::TakeShareResponse> take_share(const std::string& who,
                                           const v1::TakeShareRequest& request);
  // The last one needed changes the root key, and blocks for two epochs' writing.
  //   kInvalidArgument     Not that share; the text says what it is.
  //   kAlreadyExists, kFailedPrecondition
  //   kLogUnavailable      failed() is true. Old or new shares open it: docs/spec/root.md.
  Result<v1::ConfirmShareResponse> confirm_share(const std::string& who,
                                                 const v1::ConfirmShareRequest& request);
  // What was approved already is told; else several are asked, once.
  //   kInvalidArgument, kNotFound      Not a plan for this vault.
  //   kPermissionDenied, kBudgetExhausted  The policy would not let the caller do it.
  Result<v1::RequestExportResponse> request_export(const std::string& who,
                                                   const v1::RequestExportRequest& request);
  //   kFailedPrecondition  One is under way.
  Result<v1::ChangeLogKeyResponse> change_log_key(const std::string& who,
                                                  const v1::ChangeLogKeyRequest& request);
  // The old key is destroyed, in both places.
  //   kFailedPrecondition  None is under way, or too few witnesses would cosign behind it.
  //   kUnavailable         Nothing is signed with the new key yet.
  Result<v1::FinishLogKeyResponse> finish_log_key(const std::string& who,
                                                  const v1::FinishLogKeyRequest& request);
  // For all: without it nobody who was given an older key can check a reply.
  Result<v1::LogKeysResponse> log_keys(const std::string& who,
                                       const v1::LogKeysRequest& request) const;
  Result<v1::ListRequestsResponse> list_requests(const std::string& who,
                                                 const v1::ListRequestsRequest& request);
  //   kConflict  It was the last signature needed, but what it would replace has changed.
  Result<v1::SignRequestResponse> sign_request(const std::string& who,
                                               const v1::SignRequestRequest& request);
  Result<v1::WithdrawRequestResponse> withdraw_request(const std::string& who,
                                                       const v1::WithdrawRequestRequest& request);
  Result<v1::MeResponse> me(const std::string& who, const v1::MeRequest& request);
  Result<v1::ReviewAccessResponse> review_access(const std::string& who,
                                                 const v1::ReviewAccessRequest& request);
  // Logged and charged as a record each, then told. Blocks for a read of the log per release.
  //   kNotFound           `number` is the place of a record that is none of the collection.
  //   kPermissionDenied, kBudgetExhausted  As any search under this purpose.
  //   kUnavailable  Not cosigned yet; retry_after_ms is set.
  Result<v1::ProveReportResponse> prove_report_witnessed(
      const std::string& who, const v1::ProveReportRequest& request) const;
  Result<v1::ReportSubjectResponse> report_subject(const std::string& who,
                                                   const v1::ReportSubjectRequest& request);
  // Legal holds. At once; with records erased meanwhile it is refused as a whole.
  //   kNotFound  `number` is the place of a record that is none of the collection, or was erased.
  Result<v1::PlaceHoldResponse> place_hold(const std::string& who,
                                           const v1::PlaceHoldRequest& request);
  // All terms of a collection under a fresh key. Takes several; then a gateway does it.
  Result<v1::RenewTermsResponse> renew_terms(const std::string& who,
                                             const v1::RenewTermsRequest& request);
  // Hidden releases told before their day. Takes several.
  Result<v1::LiftEmbargoResponse> lift_embargo(const std::string& who,
                                               const v1::LiftEmbargoRequest& request);
  Result<v1::LiftHoldResponse> lift_hold(const std::string& who,
                                         const v1::LiftHoldRequest& request);
  Result<v1::ListHoldsResponse> list_holds(const std::string& who,
                                           const v1::ListHoldsRequest& request) const;
  // All old records of a collection, once several have signed it and the delay is over.
  Result<v1::RequestDestructionResponse> request_destruction(
      const std::string& who, const v1::RequestDestructionRequest& request);
  Result<v1::ListDestructionsResponse> list_destructions(
      const std::string& who, const v1::ListDestructionsRequest& request) const;
  Result<v1::CancelDestructionResponse> cancel_destruction(
      const std::string& who, const v1::CancelDestructionRequest& request);
  Result<v1::ListEmergenciesResponse> list_emergencies(
      const std::string& who, const v1::ListEmergenciesRequest& request) const;
  Result<v1::ReviewEmergenciesResponse> review_emergencies(
      const std::string& who, const v1::ReviewEmergenciesRequest& request);
  Result<v1::LogCheckpointResponse> log_checkpoint(const std::string& who,
                                                   const v1::LogCheckpointRequest& request) const;
  Result<v1::LogTileResponse> log_tile(const std::string& who,
                                       const v1::LogTileRequest& request) const;
  Result<v1::LogEntriesResponse> log_entries(const std::string& who,
                                             const v1::LogEntriesRequest& request) const;
  //   kNotFound     No erasure, or another's.
  //   kUnavailable  No checkpoint has it yet; one comes each second.
  Result<v1::ProveErasureResponse> prove_erasure(const std::string& who,
                                                 const v1::ProveErasureRequest& request) const;
  // One step of a backup: docs/spec/backup.md.
  //   kConflict  KEYS: lanes have changed since PREPARE. Freeze the store again.
  Result<v1::BackupResponse> backup(const std::string& who, const v1::BackupRequest& request);
  Result<v1::ListAlarmsResponse> list_alarms(const std::string& who,
                                             const v1::ListAlarmsRequest& request) const;
  // Makes records canaries. Which they are is in the key state; the log has how many, and a digest.
  //   kInvalidArgument  `number` is the place of one that cannot be. Nothing was planted.
  Result<v1::PlantCanariesResponse> plant_canaries(const std::string& who,
                                                   const v1::PlantCanariesRequest& request);
  // Whether a hit would be noticed: a test alarm for each collection, by the path that a release
  // takes. Nobody is cut off.
  Result<v1::TestCanariesResponse> test_canaries(const std::string& who,
                                                 const v1::TestCanariesRequest& request);

 private:
  struct Pending;
  KeyServer(const KeyServerOptions& options, v1::VaultFile vault, std::unique_ptr<KeyState> state,
            const SealingKey& root, env::Files& files, const env::Clock& clock);

  uint64_t now_ms();
  static Result<std::unique_ptr<KeyServer>> prepare(const KeyServerOptions& options,
                                                    const SealingKey& root, env::Files& files,
                                                    const env::Clock& clock);
  // `before` sees each entry's leaf before it is folded in.
  Result<void> open_log(bool must_exist, const std::function<void(uint64_t)>& before = {});
  // By what was written down of the log before `leaf`. False: the log does not say so.
  Result<bool> open_log_from(uint64_t leaf, const tlog::LogOptions& options);
  void forget_ledger();
  // Has the log's counters written down when it is time, and the log read that a start did not
  // read.
  Result<std::optional<v1::CountersItem>> step_counters();
  Result<void> check_clock() const;
  Result<void> keep_authority_escrow();
  Result<void> list_key_files(v1::BackupResponse& out);
  void tell_backups(v1::StatusResponse& out) const;
  Result<void> reconcile();
  Result<void> reconcile_canaries();
  Result<void> reconcile_erasures();
  Result<void> begin_epoch();
  // A root key that is not in force yet, and its shares, by the holders' order. In memory alone.
  struct NewRoot {
    SealingKey root;
    std::vector<crypto::Share> shares;  // One that was confirmed is empty.
  };
  Result<void> check_holders(const v1::RootChange& change) const;
  Result<NewRoot> make_root(const v1::RootChange& change) const;
  // Its place among the holders of the change under way.
  Result<size_t> holder_number(const std::string& who) const;
  // Seals everything anew under new_root_, which the log has as CHANGING.
  Result<void> install_root();
  v1::LogItem changing_item() const;
  // A change of the log's key that was approved is carried out.
  Result<void> stage_log_key(uint64_t now);
  std::string ended_key_changes() const;
  std::string key_change_under_way() const;  // Empty: none is.
  std::string key_changes() const;
  Result<void> write_key_changes();
  Result<tlog::LogKeys> own_log_keys() const;
  Result<void> reconcile_log_keys();
  // Whoever signed the log that lies there, as far as it follows from the key of `init`.
  std::optional<crypto::PublicKey> last_signer() const;
  bool epoch_is_due() const;
  void tell_horizon(v1::StatusResponse& out) const;
  // Logs the start, and what a new vault starts with.
  Result<void> start(const Founding* founding);
  // Stages one entry and folds it into the ledger; its place in the log's group.
  Result<size_t> stage(tlog::EntryType type, std::span<const v1::LogItem> items, uint64_t t_ms);
  // One entry of a change by the admin listener, durable; its leaf.
  Result<uint64_t> log_change(const std::string& author, v1::LogItem item,
                              tlog::EntryType type = tlog::EntryType::kPolicy);
  Result<void> require(const std::string& who, std::initializer_list<v1::Power> any_of) const;
  static Error unavailable();
  // The same for several items, which are folded in together.
  Result<uint64_t> log_items(tlog::EntryType type, std::span<const v1::LogItem> items);
  // Logs a request for what several must sign; its id. One that asks the same is found again.
  Result<uint64_t> propose(const std::string& who, v1::ApprovalRequest request,
                           const std::string& reason);
  // Whether it may replace the policy, as far as the vault goes on to be governed.
  Result<policy::CompiledPolicy> check_policy(const v1::Policy& next) const;
  Result<void> check_approvers_without(const std::string& name) const;
  Result<v1::LogItem> change_of(const v1::ApprovalRequest& request) const;
  Result<void> check_plan(const std::string& who, const v1::ExportPlan& plan);
  // The approved export that a ticket names, if it is still open and the ticket is for it.
  Result<const Export*> find_export(const v1::Ticket& ticket, uint64_t now) const;
  // Whether a call is a part of it.
  Result<void> check_export(const v1::Ticket& ticket, const v1::TokensCall& call,
                            uint64_t now) const;
  Result<void> check_export(const v1::Ticket& ticket, const v1::ReleaseCall& call, uint64_t count,
                            uint64_t now) const;
  void ask_to_reindex(const CollectionInfo& old, v1::Collection& next) const;
  std::string collection_name(CollectionId id) const;
  v1::UseLine use_line(const Use& use) const;
  static v1::Frozen frozen_view(const policy::Scope& scope, const policy::Freeze& freeze);
  static Error no_power();
  static Error no_principal();
  static Result<void> check_reason(const std::string& reason);

  // Decide and stage. An error means nothing was staged.
  Result<void> decide(const v1::Call& call, uint64_t now, Pending& pending);
  Result<void> decide_tokens(const v1::TokensCall& call, uint64_t now, Pending& pending);
  Result<void> decide_release(const v1::ReleaseCall& call, uint64_t now, Pending& pending);
  Result<void> decide_grant(const v1::GrantCall& call, uint64_t now, Pending& pending);
  Result<void> decide_update_grant(const v1::UpdateGrantCall& call, uint64_t now, Pending& pending);
  Result<void> decide_open_lane(const v1::OpenLaneCall& call, uint64_t now, Pending& pending);
  Result<void> decide_publish_lane(const v1::PublishLaneCall& call, uint64_t now, Pending& pending);
  Result<void> decide_unique_tokens(const v1::UniqueTokensCall& call, uint64_t now,
                                    Pending& pending);
  Result<void> decide_check(const v1::CheckCall& call, uint64_t now);
  Result<void> decide_reindex(const v1::ReindexCall& call, uint64_t now, Pending& pending);
  Result<void> decide_reset_lanes(uint64_t now, Pending& pending);
  Result<void> decide_mark_store(const v1::MarkStoreCall& call, uint64_t now, Pending& pending);
  Result<void> decide_begin_merge(const v1::BeginMergeCall& call, uint64_t now, Pending& pending);
  Result<void> decide_witness(const v1::WitnessCall& call, uint64_t now);
  // Whether witnesses allow that something leaves now. What is urgent waits for none of them, but
  // nothing leaves from a log that was put back.
  Result<void> check_witnessed(uint64_t now, bool urgent = false);
  Result<void> decide_finish_merge(const v1::FinishMergeCall& call, uint64_t now, Pending& pending);
  Result<void> decide_erase(const v1::EraseCall& call, uint64_t now, Pending& pending);
  // What was decided to be erased is erased, durable in both places.
  Result<void> erase(std::span<const Pending> pendings, std::span<const DurableLeaf> leaves);
  // The records of a block that go with what is older than that: none, if its youngest is not.
  std::vector<RecordIndex> destroyed_in(uint32_t block, uint64_t before_ms) const;
  struct Destructible {
    uint64_t records = 0;
    uint64_t held = 0;
  };
  Destructible destructible(CollectionId collection, uint64_t before_ms, uint32_t from) const;
  Result<v1::LogItem> scheduled(uint64_t request, CollectionId collection,
                                uint64_t before_ms) const;
  Result<void> schedule_retention(uint64_t now);
  Result<void> stage_destruction(uint64_t now);
  // Behind the commit of what was staged.
  Result<void> finish_destruction(std::span<const DurableLeaf> leaves);
  void answer_erase(const DurableLeaf& leaf, v1::EraseReply& reply) const;
  void list_erasures(const v1::ErasuresCall& call, v1::ErasuresReply& reply) const;
  bool alive(RecordIndex idx) const;
  // Watching. Alarms go into the group of what caused them, and so does the cut: a key that caused
  // it does not leave.
  Result<void> raise(std::vector<v1::AlarmItem> alarms, uint64_t t_ms);
  Result<void> raise_canaries(uint64_t leaf, const v1::Ticket& ticket,
                              std::span<const RecordIndex> records, uint64_t t_ms);
  Result<void> cut_off(const v1::AlarmItem& alarm, uint64_t t_ms);
  // Reads a record's releases backwards, at most `reads` of them.
  Result<void> follow_releases(RecordIndex idx, uint64_t now, uint32_t* reads,
                               v1::ReportedRecord& record) const;
  // Fills in what every line is proven by, to the checkpoint just written.
  Result<void> prove_report(uint64_t leaf, v1::SubjectReport& report) const;
  // What the people in the records of a release entry are to be told, and how its releases chain.
  // Although it is hidden until later: its embargo was lifted.
  bool told_early(const tlog::Entry& release) const;
  void add_disclosure(const policy::Ask& ask, uint64_t now, std::vector<v1::LogItem>& items) const;
  // Adds a refused call to those of admitted_, or of the gateway.
  void note_refused(const Error& error);
  struct Refused;
  void count_refused(const Refused& key);
  // Stages what is to be said of them, if it is time.
  Result<void> stage_refused(uint64_t t_ms);
  Result<void> check_sender(const std::string& credential) const;
  Result<void> check_courier(const std::string& credential) const;
  uint64_t records_granted(CollectionId collection) const;
  Result<void> check_compactor(const std::string& credential) const;
  // A ticket for an erasure is good for that alone, and no other is good for one; one for an export
  // is good for its search and what that finds; one for a change of single records is good for that
  // and for opening this record, and no other changes one.
  enum class TicketUse { kAccess, kSearch, kRelease, kChange, kErasure };
  Result<TicketRecord*> admit(const v1::SignedTicket& ticket, Bytes request_id, uint64_t now,
                              TicketUse use = TicketUse::kAccess);
  static TicketUse writes_as(bool change) {
    return change ? TicketUse::kChange : TicketUse::kAccess;
  }
  Result<void> check_nobody_writes(CollectionId collection) const;
  static policy::Ask ticket_ask(const TicketRecord& record, v1::Action action);
  // The first item of an entry.
  void fill_ticket_item(const TicketRecord& record, const std::string& request_id, uint64_t charge,
                        v1::TicketItem& item) const;
  Result<void> reserve_reply(size_t bytes);
  void list_lanes(v1::ListLanesReply& reply) const;
  void answer_witness(v1::WitnessReply& reply) const;
  void answer_log_tile(const v1::LogTileCall& call, v1::Reply& reply) const;
  // What the batch brought about in the key state, durable.
  Result<void> store_secrets(const v1::CallBatch& batch, std::span<const Pending> pendings);
  // Under which a secret leaves: it is logged, and at this moment nobody concerned is cut off.
  struct Leaving {
    const DurableLeaf& leaf;
    policy::Clearance clearance;
  };
  // Derive, under a durable leaf. An error: nothing leaves, though it was logged.
  Result<void> derive(const v1::Call& call, const Pending& pending, const DurableLeaf& leaf,
                      v1::Reply& reply);
  Result<void> derive_tokens(const v1::TokensCall& call, const Pending& pending,
                             const Leaving& leaving, v1::TokensReply& reply);
  Result<void> derive_release(const v1::ReleaseCall& call, const Pending& pending,
                              const Leaving& leaving, v1::ReleaseReply& reply);
  Result<void> derive_open_lane(const Pending& pending, const Leaving& leaving,
                                v1::OpenLaneReply& reply);
  Result<void> derive_grant(const Pending& pending, const Leaving& leaving, v1::GrantReply& reply);
  Result<void> derive_update_grant(const v1::UpdateGrantCall& call, const Pending& pending,
                                   const Leaving& leaving, v1::UpdateGrantReply& reply);
  Result<void> derive_unique_tokens(const v1::UniqueTokensCall& call, const Pending& pending,
                                    const Leaving& leaving, v1::UniqueTokensReply& reply);
  Result<void> derive_begin_merge(const v1::BeginMergeCall& call, const Pending& pending,
                                  const Leaving& leaving, v1::BeginMergeReply& reply);
  void answer_reindex(const Pending& pending, uint64_t leaf, v1::ReindexReply& reply) const;
  void answer_unlogged(const v1::Call& call, const Pending& pending, v1::Reply& reply) const;
  crypto::LaneTokens* lane_tokens(LaneId lane);

  KeyServerOptions options_;
  v1::VaultFile vault_;
  ByteArray<16> vault_id_{};
  env::Files& files_;
  const env::Clock& clock_;
  std::unique_ptr<KeyState> state_;
  SealingKey escrow_key_;
  std::optional<NewRoot> new_root_;
  std::optional<std::string> written_key_changes_;
  Ledger ledger_;
  std::unique_ptr<tlog::ReleaseLog> log_;
  std::unique_ptr<Counters> counters_;
  std::unique_ptr<AdminAuth> admin_auth_;
  std::unordered_map<LaneId, crypto::LaneTokens> lane_tokens_;
  std::unordered_map<CollectionId, crypto::LaneTokens> unique_tokens_;
  std::vector<std::string> serialized_;  // Reused from call to call.
  Witnessing witnessing_;
  std::optional<uint32_t> witnessing_policy_;  // The policy's version that it goes by.
  uint64_t store_marked_ms_ = 0;               // When a gateway last said how far its store is.
  uint64_t checkpoint_ms_ = 0;                 // When the courier last had one made.
  uint64_t now_ms_ = 0;
  uint64_t started_ms_ = 0;
  uint64_t epoch_started_us_ = 0;
  size_t reply_bytes_ = 0;  // Reserved in this batch.
  size_t erasing_ = 0;      // Records, in this batch.
  uint64_t epoch_began_ms_ = 0;
  uint64_t retention_looked_ms_ = 0;
  std::map<uint64_t, uint64_t> destructions_seen_us_;  // Since when this process knows of each.
  std::vector<RecordIndex> destroyed_;                 // Staged by this tick.
  size_t destroyed_position_ = 0;                      // Of the entry, in its group.
  size_t erasures_applied_ = 0;                        // Of the ledger's, to the state.
  size_t erasures_covered_ = 0;                        // Of the ledger's, by the epoch's base.
  const TicketRecord* admitted_ = nullptr;             // Of the call being decided.
  struct Refused {
    std::string principal, gateway, purpose;
    uint32_t collection = 0;
    bool admin = false;
    auto operator<=>(const Refused&) const = default;
  };
  const char* counters_warning_ = nullptr;
  std::vector<v1::CanariesItem> lost_canaries_;  // Between reconcile() and start().
  std::map<Refused, uint64_t> refused_;          // Not logged yet.
  uint64_t refused_since_ms_ = 0;
  uint64_t refused_most_ = 0;
  bool failed_ = false;
  bool sealed_ = false;
};

}  // namespace strongroom::keyserver
