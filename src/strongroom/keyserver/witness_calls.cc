// The courier's calls: checkpoints out, cosignatures in.
#include "strongroom/crypto/hash.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/pending.h"
#include "strongroom/tlog/tiles.h"

namespace strongroom::keyserver {
namespace {

constexpr int kWordsMax = kWitnessesMax;
constexpr size_t kWordBytesMax = size_t{16} << 10;
// A checkpoint costs writes and syncs: the courier gets a new one this often.
constexpr uint64_t kCheckpointEveryMs = 100;

}  // namespace

Result<void> KeyServer::check_witnessed(uint64_t now, bool urgent) {
  const v1::Policy& policy = ledger_.engine().policy();
  if (witnessing_policy_ != policy.version()) {
    witnessing_.configure(policy.witnesses());
    witnessing_policy_ = policy.version();
  }
  const auto may = witnessing_.may_leave(log_->size(), now);
  if (!may && urgent && may.error().code == ErrorCode::kUnavailable) return {};
  return may;
}

Result<void> KeyServer::check_courier(const std::string& credential) const {
  const auto& expected = options_.courier_credential;
  if (expected && crypto::equal_ct(crypto::sha256({as_bytes(credential)}), *expected)) return {};
  return make_error(ErrorCode::kPermissionDenied,
                    "Only the courier carries checkpoints, with the credential that `serve` gave "
                    "it.");
}

Result<void> KeyServer::decide_witness(const v1::WitnessCall& call, uint64_t now) {
  SR_TRY(check_courier(call.credential()));
  if (call.words_size() > kWordsMax) {
    return make_error(ErrorCode::kInvalidArgument, "More words than there can be witnesses.");
  }
  static_cast<void>(check_witnessed(now));  // By the policy as it is now.
  std::optional<Error> wrong;
  for (const v1::WitnessWord& word : call.words()) {
    if (word.lines().size() > kWordBytesMax) {
      return make_error(ErrorCode::kInvalidArgument, "A witness's answer is too long.");
    }
    if (word.ahead() > log_->size()) witnessing_.ahead();
    if (word.lines().empty()) continue;
    const auto taken = witnessing_.take(word.size(), word.lines(), word.by_newest_key());
    if (!taken) wrong = taken.error();
  }
  if (log_->size() != log_->checkpoint_size() && now - checkpoint_ms_ >= kCheckpointEveryMs) {
    // One that could not be written is made up for by the next.
    static_cast<void>(log_->write_checkpoint());
    checkpoint_ms_ = now;
  }
  witnessing_.handed_out(log_->checkpoint_note(), log_->checkpoint_size(), now);
  if (wrong) return *wrong;
  return {};
}

void KeyServer::answer_witness(v1::WitnessReply& reply) const {
  reply.set_note(log_->checkpoint_note());
  reply.set_size(log_->checkpoint_size());
  *reply.mutable_witnesses() = ledger_.engine().policy().witnesses();
}

void KeyServer::answer_log_tile(const v1::LogTileCall& call, v1::Reply& reply) const {
  auto tile = call.path().size() <= tlog::kTilePathMax
                  ? log_->tile(call.path())
                  : make_error(ErrorCode::kInvalidArgument, "This is not the path of a tile.");
  if (!tile) return set_error(tile.error(), reply);
  *reply.mutable_log_tile()->mutable_data() = *std::move(tile);
}

}  // namespace strongroom::keyserver
