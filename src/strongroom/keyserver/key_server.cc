#include "strongroom/keyserver/key_server.h"

#include <algorithm>
#include <set>

#include "strongroom/crypto/random.h"
#include "strongroom/keyserver/pending.h"
#include "strongroom/keyserver/root_files.h"
#include "strongroom/keyserver/term_escrow.h"
#include "strongroom/keyserver/unseal.h"

namespace strongroom::keyserver {
namespace {

using tlog::EntryType;

KeyState::Places places_of(const KeyServerOptions& options) {
  return {options.dir + "/state", options.mirror_dir + "/state"};
}

std::string log_dir(const KeyServerOptions& options) {
  return options.dir + "/log";
}

// None where epochs are not bound to it.
Hardware* epoch_hardware(const KeyServerOptions& options, const v1::VaultFile& vault) {
  return vault.tpm().epochs() ? options.hardware : nullptr;
}

Error invalid(policy::Problem* problem, const char* text, std::string path) {
  if (problem != nullptr) *problem = {text, std::move(path)};
  return make_error(ErrorCode::kInvalidArgument, text);
}

// Before anything is written.
Result<void> check_founding(const Founding& founding, policy::Problem* problem) {
  std::set<uint32_t> ids;
  std::set<std::string> names;
  for (const v1::Collection& collection : founding.collections) {
    SR_TRY(policy::check_collection(collection, problem));
    if (!ids.insert(collection.id()).second || !names.insert(collection.name()).second) {
      return invalid(problem, "Two collections have one name or one id.", collection.name());
    }
  }
  SR_ASSIGN(const auto compiled,
            policy::compile_policy(founding.policy, founding.collections, problem));
  if (const auto sound = Witnessing::check(founding.policy.witnesses()); !sound) {
    return invalid(problem, sound.error().text, "witnesses");
  }
  std::set<std::string> principals;
  for (const v1::Principal& principal : founding.principals) {
    if (!policy::is_principal_name(principal.name()) ||
        !principals.insert(principal.name()).second ||
        principal.public_key().size() != sizeof(crypto::PublicKey) ||
        !compiled.roles.contains(principal.role())) {
      return invalid(problem,
                     "A founding principal needs a name of its own, a role of the policy and a "
                     "public key of 32 bytes.",
                     principal.name());
    }
  }
  return {};
}

Error rolled_back() {
  return make_error(ErrorCode::kDataLoss,
                    "The release log is shorter than the key state says. Restore keyserver/log "
                    "from its latest copy; do not delete anything.");
}

Error state_is_old() {
  return make_error(ErrorCode::kDataLoss,
                    "The key state is older than the release log: keys that records were sealed "
                    "under are missing. Restore keyserver/state from its latest copy; do not "
                    "delete anything.");
}

}  // namespace

KeyServer::KeyServer(const KeyServerOptions& options, v1::VaultFile vault,
                     std::unique_ptr<KeyState> state, const SealingKey& root, env::Files& files,
                     const env::Clock& clock)
    : options_(options),
      vault_(std::move(vault)),
      vault_id_(keyserver::vault_id(vault_)),
      files_(files),
      clock_(clock),
      state_(std::move(state)),
      escrow_key_(term_escrow_key(root)),
      ledger_(vault_id_, {vault_.gateways().begin(), vault_.gateways().end()}) {}

KeyServer::~KeyServer() = default;

uint64_t KeyServer::now_ms() {
  now_ms_ = std::max({now_ms_, clock_.wall_ms(), log_->last_t_ms()});
  return now_ms_;
}

Result<std::unique_ptr<KeyServer>> KeyServer::create(const KeyServerOptions& options,
                                                     v1::VaultFile vault, const SealingKey& root,
                                                     const Founding& founding, env::Files& files,
                                                     const env::Clock& clock,
                                                     policy::Problem* problem) {
  crypto::init();
  SR_TRY(check_founding(founding, problem));
  if (vault.gateways().empty()) {
    return invalid(problem, "A vault needs the id of at least one gateway.", "gateways");
  }
  SR_ASSIGN(const bool present, files.exists(options.dir + "/vault.json"));
  if (present) {
    return make_error(ErrorCode::kAlreadyExists,
                      "There is a vault here already. Choose another folder.");
  }
  SR_ASSIGN(auto state,
            KeyState::create(places_of(options), files, root, epoch_hardware(options, vault)));
  SR_TRY(files.make_dirs(log_dir(options)));

  ByteArray<16> id{};
  crypto::random_bytes(id);
  vault.set_format(kVaultFileFormat);
  vault.set_vault(to_hex(id));
  vault.set_origin("strongroom.local/" + vault.vault());
  vault.set_log_public_key(to_hex(state->log_key().public_key()));
  vault.set_root_check(root_check(root));
  vault.set_created_ms(clock.wall_ms());
  std::unique_ptr<KeyServer> server(
      new KeyServer(options, std::move(vault), std::move(state), root, files, clock));
  SR_TRY(server->open_log(false));
  if (server->log_->size() != 0) {
    return make_error(ErrorCode::kAlreadyExists,
                      "There is a release log here already. Choose another folder.");
  }
  SR_TRY(server->start(&founding));
  // Last: without this file there is no vault, whatever an init that was cut short left behind.
  SR_TRY(save_vault_file(files, options.dir, server->vault_));
  return server;
}

Result<std::unique_ptr<KeyServer>> KeyServer::prepare(const KeyServerOptions& options,
                                                      const SealingKey& root, env::Files& files,
                                                      const env::Clock& clock) {
  crypto::init();
  SR_ASSIGN(auto vault, load_vault_file(files, options.dir));
  if (!is_root_of(vault, root)) {
    return make_error(ErrorCode::kPermissionDenied,
                      "This root key is another vault's, or a share was wrong. Try again with "
                      "the shares of this vault.");
  }
  SR_ASSIGN(auto state,
            KeyState::open(places_of(options), files, root, epoch_hardware(options, vault)));
  SR_TRY(settle_root(files, options.dir, vault, root));
  return std::unique_ptr<KeyServer>(
      new KeyServer(options, std::move(vault), std::move(state), root, files, clock));
}

Result<void> KeyServer::check_clock() const {
  if (clock_.wall_ms() + kClockSkewMs >= log_->last_t_ms()) return {};
  return make_error(ErrorCode::kFailedPrecondition,
                    "The clock is more than a minute behind the release log's last entry. Set "
                    "the clock and start again; nothing was changed.");
}

Result<std::unique_ptr<KeyServer>> KeyServer::open(const KeyServerOptions& options,
                                                   const SealingKey& root, env::Files& files,
                                                   const env::Clock& clock) {
  SR_ASSIGN(auto server, prepare(options, root, files, clock));
  SR_TRY(server->open_log(true));
  if (options.unattended && server->ledger_.keys().sealed()) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "This vault was sealed on command, so its share holders open it, and not the "
                      "TPM.");
  }
  SR_TRY(server->check_clock());
  SR_TRY(server->reconcile());
  SR_TRY(server->begin_epoch());
  SR_TRY(server->start(nullptr));
  if (!server->vault_.sealed_by().empty()) {  // What was told while it was sealed.
    v1::VaultFile opened = server->vault_;
    opened.clear_sealed_by();
    opened.clear_sealed_ms();
    // If not: what is told at the next start is out of date, and a TPM does not open it then.
    if (save_vault_file(files, options.dir, opened)) server->vault_ = std::move(opened);
  }
  return server;
}

Result<void> KeyServer::open_log(bool must_exist, const std::function<void(uint64_t)>& before) {
  tlog::LogOptions options;
  options.dir = log_dir(options_);
  options.origin = vault_.origin();
  options.must_exist = must_exist;  // A log that was deleted is not a new one.
  if (before) options.signed_by = last_signer();
  counters_ = std::make_unique<Counters>(
      CountersOptions{options_.dir + "/counters",
                      options.dir,
                      vault_id_,
                      {vault_.gateways().begin(), vault_.gateways().end()},
                      options_.counters_every},
      files_);
  // Who looks at each entry has to see them all.
  if (must_exist && !before) {
    // One that does not fit is passed over, whatever the reason: the log itself has the last word.
    for (const uint64_t leaf : counters_->list()) {
      const auto opened = open_log_from(leaf, options);
      if (opened && *opened) return {};
      counters_warning_ =
          "what was written down of the release log did not fit it, so this start read more of the "
          "log; look at the disk of keyserver/counters";
      log_.reset();
      forget_ledger();
    }
  }
  SR_ASSIGN(log_, tlog::ReleaseLog::open(options, files_, *state_, state_->log_signers(),
                                         [&](const tlog::Entry& entry) {
                                           if (before) before(entry.leaf.value);
                                           return ledger_.replay(entry);
                                         }));
  return {};
}

Result<bool> KeyServer::open_log_from(uint64_t leaf, const tlog::LogOptions& options) {
  tlog::LogPoint point;
  SR_ASSIGN(const CountersFile file, counters_->load(leaf, *state_, point, ledger_));
  const std::string_view sha256 = as_text(file.sha256);
  bool named = false;
  v1::LogItem item;
  const auto replay = [&](const tlog::Entry& entry) {
    if (entry.type == EntryType::kCounters && item.ParseFromString(entry.items[0])) {
      named = named || (item.counters().leaf() == leaf && item.counters().sha256() == sha256);
    }
    return ledger_.replay(entry);
  };
  SR_ASSIGN(log_, tlog::ReleaseLog::open(options, files_, *state_, state_->log_signers(), replay,
                                         &point));
  if (named) counters_->relied_on(leaf, point.at, file, ledger_.tickets().request_keys());
  return named;
}

void KeyServer::forget_ledger() {
  std::destroy_at(&ledger_);
  std::construct_at(&ledger_, vault_id_,
                    std::vector<std::string>{vault_.gateways().begin(), vault_.gateways().end()});
}

Result<std::optional<v1::CountersItem>> KeyServer::step_counters() {
  return counters_->step({log_->checkpoint_size(), log_->end()}, [this] {
    BodyKeyCopies copies;
    for (auto& [month, key] : state_->body_keys()) copies.add(month, std::move(key));
    return copies;
  });
}

// Holds the key state against the ledger, and makes up for a crash between the two: what one batch
// logged last and the state lacks was never used, since keys leave only behind both.
Result<void> KeyServer::reconcile() {
  SR_TRY(reconcile_log_keys());
  if (state_->applied() > log_->size()) return rolled_back();
  const auto& blocks = ledger_.blocks();
  const auto& lanes = ledger_.lanes();
  if (!state_->blocks().empty() && state_->blocks().rbegin()->first >= blocks.size()) {
    return rolled_back();
  }
  for (const auto& [lane, root] : state_->lane_roots()) {
    if (!lanes.contains(lane.value)) return rolled_back();
  }
  // All that is missing must stem from one batch, and so from one instant.
  std::optional<uint64_t> missing_ms;
  const auto may_lack = [&](uint64_t leaf, uint64_t t_ms) {
    if (leaf < state_->applied() || (missing_ms && *missing_ms != t_ms)) return false;
    missing_ms = t_ms;
    return true;
  };
  for (uint32_t block = 0; block < blocks.size(); ++block) {
    if (state_->blocks().contains(block) || blocks[block].lost) continue;
    if (!may_lack(blocks[block].leaf, blocks[block].t_ms)) return state_is_old();
    state_->add_block(block, blocks[block].collection);
  }
  for (const auto& [number, lane] : lanes) {
    if (lane.status == v1::LaneItem::DROPPED || lane.retired) {
      state_->drop_lane(LaneId{number});
    } else if (state_->lane_root(LaneId{number}) == nullptr) {
      if (!may_lack(lane.opened_leaf, lane.opened_ms)) return state_is_old();
      state_->add_lane(LaneId{number});
    }
  }
  std::set<CollectionId> spaces;
  for (const auto& [id, collection] : ledger_.collections()) {
    const auto hold = [&](CollectionId space, uint64_t leaf, uint64_t t_ms) {
      spaces.insert(space);
      if (state_->unique_root(space) != nullptr) return true;
      if (!may_lack(leaf, t_ms)) return false;
      state_->add_unique(space);
      return true;
    };
    const bool renewed = collection.definition.terms() != 0;
    if (renewed && !hold(collection.space(), collection.renewal_leaf, collection.renewal_ms)) {
      return state_is_old();
    }
    if (!renewed && collection.unique_leaf &&
        !hold(collection.space(), *collection.unique_leaf, collection.unique_ms)) {
      return state_is_old();
    }
    if (collection.renews() &&
        !hold(collection.next_space(), collection.renewal_leaf, collection.renewal_ms)) {
      return state_is_old();
    }
  }
  // Of terms that were renewed since.
  std::vector<CollectionId> gone;
  for (const auto& [space, root] : state_->unique_roots()) {
    if (!spaces.contains(space)) gone.push_back(space);
  }
  for (const CollectionId space : gone) state_->drop_unique(space);
  SR_TRY(reconcile_erasures());
  return reconcile_canaries();
}

// Canaries that a crash kept from the state were never acknowledged: start() logs that they are
// lost.
Result<void> KeyServer::reconcile_canaries() {
  std::set<std::string> held;
  for (const CanaryPlanting& planting : state_->canaries().plantings()) {
    held.emplace(as_text(digest_of(planting)));
  }
  for (const AlarmBook::Planting& planting : ledger_.alarms().plantings()) {
    if (held.erase(planting.item.digest()) != 0) continue;
    if (planting.leaf < state_->applied()) return state_is_old();
    lost_canaries_.push_back(planting.item);
  }
  if (!held.empty()) return rolled_back();
  return {};
}

Result<void> KeyServer::start(const Founding* founding) {
  const uint64_t now = now_ms();
  ledger_.tickets().evict(now);
  std::vector<v1::LogItem> items(1);
  items[0].mutable_start()->set_version(options_.version);
  items[0].mutable_start()->set_vault(std::string(as_text(vault_id_)));
  items[0].mutable_start()->set_epoch(state_->epoch());
  SR_TRY(stage(EntryType::kStart, items, now));
  if (founding != nullptr) {
    items.clear();
    for (const v1::Collection& collection : founding->collections) {
      v1::Collection& added = *items.emplace_back().mutable_collection();
      added = collection;
      added.set_revision(1);
    }
    v1::Policy& policy = *items.emplace_back().mutable_policy();
    policy = founding->policy;
    policy.set_version(1);
    for (const v1::Principal& principal : founding->principals) {
      *items.emplace_back().mutable_principal() = principal;
    }
    for (v1::LogItem& item : items) item.set_author("init");
    SR_TRY(stage(EntryType::kPolicy, items, now));
  }
  if (const auto& change = ledger_.keys().change(); change && !change->root_check.empty()) {
    items.assign(1, {});
    items[0].mutable_root()->set_step(
        change->root_check == vault_.root_check() ? v1::RootItem::CHANGED : v1::RootItem::KEPT);
    SR_TRY(stage(EntryType::kKeys, items, now));
  }
  for (v1::CanariesItem& lost : lost_canaries_) {
    items.assign(1, {});
    lost.set_lost(true);
    *items[0].mutable_canaries() = std::move(lost);
    SR_TRY(stage(EntryType::kWatch, items, now));
  }
  lost_canaries_.clear();
  // Whoever was merging has lost its connection, and asks again.
  std::optional<LaneId> abandoned;
  if (const auto& merge = ledger_.merge()) {
    abandoned = LaneId{merge->lane};
    items.assign(1, {});
    v1::LaneItem& item = *items[0].mutable_lane();
    item.set_lane(merge->lane);
    item.set_collection(ledger_.lanes().at(merge->lane).collection.value);
    item.set_change(v1::LaneItem::DROPPED);
    item.set_generation(ledger_.generation() + 1);
    SR_TRY(stage(EntryType::kGrant, items, now));
  }
  const auto committed = log_->commit();
  if (!committed) {
    failed_ = true;
    return committed.error();
  }
  if (abandoned) {
    state_->drop_lane(*abandoned);
    SR_TRY(state_->commit(log_->size()));
  }
  started_ms_ = now;
  witnessing_.started(log_->size());
  static_cast<void>(check_witnessed(now));  // Goes by the policy from now on.
  if (founding != nullptr) {
    epoch_started_us_ = clock_.monotonic_us();
    epoch_began_ms_ = now;
  }
  admin_auth_ = std::make_unique<AdminAuth>(vault_id_, ledger_.engine(), started_ms_);
  SR_TRY(write_key_changes());
  return log_->write_checkpoint();
}

Result<size_t> KeyServer::stage(EntryType type, std::span<const v1::LogItem> items, uint64_t t_ms) {
  serialized_.resize(items.size());
  for (size_t i = 0; i < items.size(); ++i) items[i].SerializeToString(&serialized_[i]);
  const auto position = log_->stage(type, serialized_, t_ms);
  if (!position) {
    failed_ = position.error().code != ErrorCode::kNoSpace;
    return position.error();
  }
  const auto applied = ledger_.apply(type, log_->size() + *position, t_ms, items);
  SR_CHECK(applied.has_value(), "a decided entry does not fit the ledger");
  if (ledger_.alarms().has_due()) SR_TRY(raise(ledger_.alarms().take_due(), t_ms));
  return *position;
}

Result<void> KeyServer::tick() {
  if (failed_) return unavailable();
  if (sealed_) return log_->write_checkpoint();
  const uint64_t now = now_ms();
  ledger_.tickets().evict(now);
  log_->look_for_space();
  SR_TRY(stage_refused(now));
  SR_TRY(stage_log_key(now));
  // On a full disk old records stay for now.
  if (const auto staged = stage_destruction(now); !staged && failed_) return staged;
  auto written_down = step_counters();
  if (!written_down) {
    failed_ = true;
    return written_down.error();
  }
  if (*written_down) {
    std::vector<v1::LogItem> items(1);
    *items[0].mutable_counters() = **written_down;
    // On a full disk it stays unlogged, and so of no use.
    if (!stage(EntryType::kCounters, items, now)) written_down->reset();
  }
  const auto leaves = log_->commit();
  if (!leaves || !finish_destruction(*leaves)) {
    failed_ = true;
    return unavailable();
  }
  if (*written_down) counters_->logged(**written_down);
  // A new epoch is written whole: on a full disk that would end the server, which has still to
  // record freezes.
  if (!log_->full() && epoch_is_due()) {
    const auto begun = begin_epoch();
    if (!begun) {
      failed_ = true;
      return begun;
    }
  }
  auto written = write_key_changes();
  if (written) written = log_->write_checkpoint();
  // Made up for when there is space: its entries are durable.
  if (!written && written.error().code == ErrorCode::kNoSpace) return {};
  return written;
}

Error KeyServer::unavailable() {
  return make_error(ErrorCode::kLogUnavailable,
                    "The release log or the key state cannot be written, so nothing leaves. "
                    "Check the disk and start the key server again.");
}

}  // namespace strongroom::keyserver
