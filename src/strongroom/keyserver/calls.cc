// KeyServer::handle: a gateway's calls. All of a batch are decided and staged, one commit, then
// keys are derived.
#include <algorithm>

#include "strongroom/crypto/hash.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/pending.h"
#include "strongroom/keyserver/unseal.h"

namespace strongroom::keyserver {
namespace {

template <class S>
void append_secret(std::string& out, const S& secret) {
  append(out, secret.read(SecretAccess{}));
}

TermHash to_term(const std::string& h_w) {
  TermHash term;
  memcpy(term.bytes.data(), h_w.data(), term.bytes.size());
  return term;
}

// Opens nothing: only with K_q, which is a gateway's, does it make a key.
crypto::Digest term_salt(const LaneRoot& root) {
  return crypto::hmac_sha256(root.read(SecretAccess{}), {as_bytes("sr1.term-salt")});
}

}  // namespace

void set_error(const Error& error, v1::Reply& reply) {
  v1::CallError& out = *reply.mutable_error();
  out.set_code(static_cast<uint32_t>(error.code));
  out.set_text(error.text);
  out.set_number(error.number);
  out.set_retry_after_ms(error.retry_after_ms);
}

v1::ReplyBatch KeyServer::handle(v1::CallBatch&& batch, const std::function<void()>& meanwhile) {
  v1::ReplyBatch replies;
  const int count = batch.calls_size();
  replies.mutable_replies()->Reserve(count);
  for (int i = 0; i < count; ++i) replies.add_replies();
  const auto refuse_all = [&] {
    failed_ = true;
    for (v1::Reply& reply : *replies.mutable_replies()) set_error(unavailable(), reply);
    return std::move(replies);
  };
  const auto refuse_sealed = [&] {
    for (v1::Reply& reply : *replies.mutable_replies()) set_error(kSealed, reply);
    return std::move(replies);
  };
  if (failed_) return refuse_all();
  if (sealed_) return refuse_sealed();

  const uint64_t now = now_ms();
  reply_bytes_ = 0;
  erasing_ = 0;
  std::vector<Pending> pendings(static_cast<size_t>(count));
  bool staged = false;
  for (int i = 0; i < count; ++i) {
    Pending& pending = pendings[static_cast<size_t>(i)];
    admitted_ = nullptr;
    const auto decided = static_cast<size_t>(i) < kCallsMax
                             ? decide(batch.calls(i), now, pending)
                             : make_error(ErrorCode::kUnavailable, "Too many calls at once.");
    if (failed_) return refuse_all();
    if (!decided) {
      pending.error = decided.error();
      note_refused(*pending.error);
    }
    staged = staged || pending.position.has_value();
  }

  if (!stage_refused(now)) return refuse_all();

  // Refusals may be all there is to log; an empty group costs nothing.
  const auto leaves = log_->commit();
  if (!leaves) return refuse_all();
  if (staged && !store_secrets(batch, pendings)) return refuse_all();
  if (staged && meanwhile) meanwhile();
  if (failed_) return refuse_all();
  if (sealed_) return refuse_sealed();

  for (int i = 0; i < count; ++i) {
    const Pending& pending = pendings[static_cast<size_t>(i)];
    v1::Reply& reply = *replies.mutable_replies(i);
    if (pending.error) {
      set_error(*pending.error, reply);
    } else if (!pending.erases.empty()) {
      continue;
    } else if (pending.position) {
      const auto derived = derive(batch.calls(i), pending, (*leaves)[*pending.position], reply);
      if (!derived) set_error(derived.error(), reply);
    } else {
      answer_unlogged(batch.calls(i), pending, reply);
    }
  }
  const bool erased = erase(pendings, *leaves).has_value();
  failed_ = failed_ || !erased;
  for (int i = 0; i < count; ++i) {
    const Pending& pending = pendings[static_cast<size_t>(i)];
    if (pending.error || pending.erases.empty()) continue;
    v1::Reply& reply = *replies.mutable_replies(i);
    if (erased) {
      answer_erase((*leaves)[*pending.position], *reply.mutable_erase());
    } else {
      set_error(unavailable(), reply);
    }
  }
  for (const Pending& pending : pendings) {
    for (const uint32_t gone : pending.gone) lane_tokens_.erase(LaneId{gone});
  }
  return replies;
}

Result<void> KeyServer::store_secrets(const v1::CallBatch& batch,
                                      std::span<const Pending> pendings) {
  for (size_t i = 0; i < pendings.size(); ++i) {
    const Pending& pending = pendings[i];
    if (!pending.position) continue;
    const v1::Call& call = batch.calls(static_cast<int>(i));
    for (const uint32_t gone : pending.gone) {
      // A search of this very batch may have been decided before the merge: its tokens are still
      // owed, so the derived keys of the lane go last, in handle().
      if (ledger_.lanes().at(gone).retired) lane_tokens(LaneId{gone});
      state_->drop_lane(LaneId{gone});
    }
    if (pending.new_block) {
      state_->add_block(pending.first.block(), pending.collection);
    } else if (call.has_open_lane() || call.has_begin_merge()) {
      state_->add_lane(pending.lane);
    } else if (call.has_unique_tokens() || pending.renews) {
      state_->add_unique(pending.space);
    } else if (pending.old_space.value != 0) {
      state_->drop_unique(pending.old_space);
      unique_tokens_.erase(pending.old_space);
    } else if (call.has_publish_lane() &&
               call.publish_lane().change() == v1::PublishLaneCall::DROP) {
      state_->drop_lane(pending.lane);
      lane_tokens_.erase(pending.lane);
    }
  }
  return state_->commit(log_->size());
}

crypto::LaneTokens* KeyServer::lane_tokens(LaneId lane) {
  auto it = lane_tokens_.find(lane);
  if (it == lane_tokens_.end()) {
    const LaneRoot* root = state_->lane_root(lane);
    if (root == nullptr) return nullptr;
    it = lane_tokens_.emplace(lane, crypto::LaneTokens(*root)).first;
  }
  return &it->second;
}

Result<void> KeyServer::derive(const v1::Call& call, const Pending& pending,
                               const DurableLeaf& leaf, v1::Reply& reply) {
  switch (call.call_case()) {
    case v1::Call::kPublishLane:
      reply.mutable_publish_lane()->set_leaf(leaf.index().value);
      reply.mutable_publish_lane()->set_revision(ledger_.revision());
      return {};
    case v1::Call::kResetLanes:
      reply.mutable_reset_lanes()->set_leaf(leaf.index().value);
      reply.mutable_reset_lanes()->set_revision(ledger_.revision());
      reply.mutable_reset_lanes()->set_closed(pending.closed);
      reply.mutable_reset_lanes()->set_dropped(static_cast<uint32_t>(pending.gone.size()));
      return {};
    case v1::Call::kFinishMerge:
      reply.mutable_finish_merge()->set_leaf(leaf.index().value);
      return {};
    case v1::Call::kMarkStore:
      reply.mutable_mark_store()->set_leaf(leaf.index().value);
      return {};
    case v1::Call::kReindex:
      answer_reindex(pending, leaf.index().value, *reply.mutable_reindex());
      return {};
    default:
      break;
  }
  // The others hand out secrets. Whoever was cut off since the decision gets none.
  SR_ASSIGN(policy::Clearance clearance, ledger_.engine().clear(pending.holder));
  const Leaving leaving{leaf, std::move(clearance)};
  switch (call.call_case()) {
    case v1::Call::kTokens:
      return derive_tokens(call.tokens(), pending, leaving, *reply.mutable_tokens());
    case v1::Call::kRelease:
      return derive_release(call.release(), pending, leaving, *reply.mutable_release());
    case v1::Call::kGrant:
      return derive_grant(pending, leaving, *reply.mutable_grant());
    case v1::Call::kUpdateGrant:
      return derive_update_grant(call.update_grant(), pending, leaving,
                                 *reply.mutable_update_grant());
    case v1::Call::kOpenLane:
      return derive_open_lane(pending, leaving, *reply.mutable_open_lane());
    case v1::Call::kUniqueTokens:
      return derive_unique_tokens(call.unique_tokens(), pending, leaving,
                                  *reply.mutable_unique_tokens());
    case v1::Call::kBeginMerge:
      return derive_begin_merge(call.begin_merge(), pending, leaving, *reply.mutable_begin_merge());
    default:
      return make_error(ErrorCode::kInternal, "An entry was logged for a call that needs none.");
  }
}

Result<void> KeyServer::derive_open_lane(const Pending& pending, const Leaving& leaving,
                                         v1::OpenLaneReply& reply) {
  const LaneRoot* root = state_->lane_root(pending.lane);
  if (root == nullptr) {  // By a call behind it in the same batch.
    return make_error(ErrorCode::kUnavailable, "This lane was dropped before it was answered.");
  }
  reply.set_leaf(leaving.leaf.index().value);
  reply.set_revision(ledger_.revision());
  reply.set_lane(pending.lane.value);
  append_secret(*reply.mutable_root(), *root);
  return {};
}

Result<void> KeyServer::derive_tokens(const v1::TokensCall& call, const Pending& pending,
                                      const Leaving& leaving, v1::TokensReply& reply) {
  std::vector<TermHash> terms;
  terms.reserve(static_cast<size_t>(call.terms_size()));
  for (const v1::SearchTerm& term : call.terms()) terms.push_back(to_term(term.h_w()));
  const size_t lanes = pending.lanes.size();
  std::vector<TermToken> tokens(terms.size());
  std::string& out = *reply.mutable_tokens();
  out.resize(terms.size() * lanes * TermToken::kSize);
  for (size_t l = 0; l < lanes; ++l) {
    crypto::LaneTokens* lane = lane_tokens(LaneId{pending.lanes[l]});
    SR_CHECK(lane != nullptr, "a live lane has a root");
    lane->tokens(terms, tokens);
    for (size_t t = 0; t < terms.size(); ++t) {
      memcpy(out.data() + (t * lanes + l) * TermToken::kSize, tokens[t].read(SecretAccess{}).data(),
             TermToken::kSize);
    }
  }
  reply.set_leaf(leaving.leaf.index().value);
  reply.set_revision(ledger_.revision());
  reply.set_generation(pending.generation);
  reply.set_may_count(pending.may_count);
  reply.set_erasures(ledger_.erasures().in_order().size());
  reply.mutable_lanes()->Add(pending.lanes.begin(), pending.lanes.end());
  return {};
}

Result<void> KeyServer::derive_release(const v1::ReleaseCall& call, const Pending& pending,
                                       const Leaving& leaving, v1::ReleaseReply& reply) {
  std::vector<GroupId> groups;
  for (uint8_t g = 0; g <= policy::kGroupMax; ++g) {
    if ((call.groups() >> g & 1) != 0) groups.push_back(GroupId{g});
  }
  std::vector<RecordKey> keys;
  keys.reserve(static_cast<size_t>(call.items_size()) * groups.size());
  for (int i = 0; i < call.items_size(); ++i) {
    if (std::binary_search(pending.erased.begin(), pending.erased.end(), i)) continue;
    const auto& item = call.items(i);
    const RecordVersion version{RecordIndex{item.idx()}, Version{item.u()}};
    SR_TRY(state_->tree().record_keys(leaving.leaf, version, groups, keys));
  }
  std::string& out = *reply.mutable_keys();
  out.reserve(keys.size() * RecordKey::kSize);
  for (const RecordKey& key : keys) append_secret(out, key);
  reply.mutable_erased()->Add(pending.erased.begin(), pending.erased.end());
  reply.set_leaf(leaving.leaf.index().value);
  reply.set_revision(ledger_.revision());
  return {};
}

Result<void> KeyServer::derive_grant(const Pending& pending, const Leaving& leaving,
                                     v1::GrantReply& reply) {
  const Version u{pending.u};
  std::vector<WriteSecret> secrets(pending.count);
  SR_TRY(state_->tree().write_secrets(leaving.leaf, pending.first.block(), pending.first.offset(),
                                      u, secrets));
  std::string& out = *reply.mutable_secrets();
  out.reserve(secrets.size() * WriteSecret::kSize);
  for (const WriteSecret& secret : secrets) append_secret(out, secret);
  reply.set_leaf(leaving.leaf.index().value);
  reply.set_erasures(ledger_.erasures().in_order().size());
  reply.set_revision(ledger_.revision());
  reply.set_first(pending.first.value);
  reply.set_count(pending.count);
  reply.set_u(u.value);
  return {};
}

Result<void> KeyServer::derive_update_grant(const v1::UpdateGrantCall& call, const Pending& pending,
                                            const Leaving& leaving, v1::UpdateGrantReply& reply) {
  std::string& out = *reply.mutable_secrets();
  out.reserve(static_cast<size_t>(call.items_size()) * WriteSecret::kSize);
  for (int i = 0; i < call.items_size(); ++i) {
    const RecordIndex idx{call.items(i).idx()};
    WriteSecret secret;
    SR_TRY(state_->tree().write_secrets(leaving.leaf, idx.block(), idx.offset(), Version{pending.u},
                                        {&secret, 1}));
    append_secret(out, secret);
  }
  reply.set_leaf(leaving.leaf.index().value);
  reply.set_erasures(ledger_.erasures().in_order().size());
  reply.set_revision(ledger_.revision());
  reply.set_u(pending.u);
  return {};
}

Result<void> KeyServer::derive_unique_tokens(const v1::UniqueTokensCall& call,
                                             const Pending& pending, const Leaving& leaving,
                                             v1::UniqueTokensReply& reply) {
  auto it = unique_tokens_.find(pending.space);
  if (it == unique_tokens_.end()) {
    const LaneRoot* root = state_->unique_root(pending.space);
    if (root == nullptr) {  // By a call behind it in the same batch.
      return make_error(ErrorCode::kUnavailable, "The terms were renewed meanwhile. Try again.");
    }
    it = unique_tokens_.emplace(pending.space, crypto::LaneTokens(*root)).first;
  }
  std::vector<TermHash> terms;
  terms.reserve(static_cast<size_t>(call.h_w_size()));
  for (const std::string& h_w : call.h_w()) terms.push_back(to_term(h_w));
  std::vector<TermToken> tokens(terms.size());
  it->second.tokens(terms, tokens);
  std::string& out = *reply.mutable_tokens();
  out.reserve(tokens.size() * TermToken::kSize);
  for (const TermToken& token : tokens) append_secret(out, token);
  reply.set_leaf(leaving.leaf.index().value);
  reply.set_revision(ledger_.revision());
  return {};
}

Result<void> KeyServer::derive_begin_merge(const v1::BeginMergeCall& call, const Pending& pending,
                                           const Leaving& leaving, v1::BeginMergeReply& reply) {
  const LaneRoot* target = state_->lane_root(pending.lane);
  if (target == nullptr) {  // By a call behind it in the same batch.
    return make_error(ErrorCode::kUnavailable, "Another merge was begun in place of this one.");
  }
  std::string& roots = *reply.mutable_source_roots();
  roots.reserve(static_cast<size_t>(call.sources_size()) * LaneRoot::kSize);
  for (const uint32_t source : call.sources()) {
    const LaneRoot* root = state_->lane_root(LaneId{source});
    if (root == nullptr) {  // Likewise.
      explicit_bzero(roots.data(), roots.size());
      roots.clear();
      return make_error(ErrorCode::kUnavailable, "This merge was ended before it was answered.");
    }
    append_secret(roots, *root);
  }
  reply.set_leaf(leaving.leaf.index().value);
  reply.set_lane(pending.lane.value);
  append_secret(*reply.mutable_root(), *target);
  return {};
}

void KeyServer::list_lanes(v1::ListLanesReply& reply) const {
  reply.set_next_lane(ledger_.next_lane());
  reply.set_generation(ledger_.generation());
  for (const auto& [number, info] : ledger_.lanes()) {
    if (info.retired || info.status == v1::LaneItem::DROPPED) continue;
    v1::ListLanesReply::Lane& lane = *reply.add_lanes();
    lane.set_lane(number);
    lane.set_collection(info.collection.value);
    lane.set_packed(info.packed);
    lane.set_searched(info.status != v1::LaneItem::RESERVED && !info.history && !info.renewed);
    lane.set_closed(info.status == v1::LaneItem::CLOSED || info.status == v1::LaneItem::PUBLISHED);
    lane.set_history(info.history);
  }
}

void KeyServer::answer_reindex(const Pending& pending, uint64_t leaf,
                               v1::ReindexReply& reply) const {
  reply.set_leaf(leaf);
  reply.set_revision(ledger_.revision());
  reply.set_below_u(pending.below_u);
  reply.set_records(records_granted(pending.collection));
  if (const LaneRoot* root = state_->unique_root(pending.space)) {
    reply.set_salt(std::string(as_text(term_salt(*root))));
    reply.set_next_u(ledger_.next_u());
  }
}

void KeyServer::answer_unlogged(const v1::Call& call, const Pending& pending,
                                v1::Reply& reply) const {
  if (call.has_sync()) {
    v1::SyncReply& out = *reply.mutable_sync();
    out.set_vault(std::string(as_text(vault_id_)));
    out.set_revision(ledger_.revision());
    out.set_erasures(ledger_.erasures().in_order().size());
    out.set_store_position(ledger_.store_mark().position());
    for (const uint32_t lane : ledger_.store_mark().lanes()) {
      const auto known = ledger_.lanes().find(lane);
      const bool searched = known != ledger_.lanes().end() && !known->second.retired &&
                            known->second.status == v1::LaneItem::PUBLISHED;
      if (searched) out.add_store_lanes(lane);
    }
    if (ledger_.store_mark().has_list()) *out.mutable_store_list() = ledger_.store_mark().list();
    if (ByteArray<32> check; from_hex(vault_.term_check(), check)) {
      out.set_term_check(std::string(as_text(check)));
    }
    for (const auto& [id, collection] : ledger_.collections()) {
      *out.add_collections() = collection.definition;
      const LaneRoot* root = state_->unique_root(collection.space());
      if (collection.definition.terms() == 0 || root == nullptr) continue;
      v1::CollectionTerms& terms = *out.add_terms();
      terms.set_collection(id);
      terms.set_salt(std::string(as_text(term_salt(*root))));
    }
    *out.mutable_policy() = ledger_.engine().policy();
    for (const policy::PrincipalEntry* entry : ledger_.engine().principals()) {
      v1::Principal& principal = *out.add_principals();
      principal = entry->principal;
      principal.clear_public_key();
    }
  } else if (call.has_check()) {
    reply.mutable_check()->set_revision(ledger_.revision());
  } else if (call.has_alarms()) {
    *reply.mutable_alarms() = ledger_.alarms().list(call.alarms().request(), log_->size());
  } else if (call.has_release()) {
    reply.mutable_release()->set_revision(ledger_.revision());
    reply.mutable_release()->mutable_erased()->Add(pending.erased.begin(), pending.erased.end());
  } else if (call.has_erasures()) {
    list_erasures(call.erasures(), *reply.mutable_erasures());
  } else if (call.has_list_lanes()) {
    list_lanes(*reply.mutable_list_lanes());
  } else if (call.has_witness()) {
    answer_witness(*reply.mutable_witness());
  } else if (call.has_log_tile()) {
    answer_log_tile(call.log_tile(), reply);
  } else if (call.has_reset_lanes()) {
    reply.mutable_reset_lanes()->set_revision(ledger_.revision());
  } else if (call.has_reindex()) {
    answer_reindex(pending, pending.leaf, *reply.mutable_reindex());
  } else if (call.has_finish_merge()) {
    reply.mutable_finish_merge()->set_leaf(pending.leaf);
  } else {
    // A change of a lane that was made before.
    reply.mutable_publish_lane()->set_leaf(pending.leaf);
    reply.mutable_publish_lane()->set_revision(ledger_.revision());
  }
}

}  // namespace strongroom::keyserver
