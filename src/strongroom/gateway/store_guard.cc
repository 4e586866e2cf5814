#include "strongroom/gateway/store_guard.h"

#include <algorithm>
#include <thread>

#include "strongroom/base/bytes.h"
#include "strongroom/base/ids.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/env/files.h"
#include "strongroom/index/postings.h"

namespace strongroom::gateway {
namespace {

constexpr std::chrono::milliseconds kLook{10};
constexpr uint64_t kPart = uint64_t{1} << 20;
constexpr int kLanesMax = 4096;  // In one mark. Beyond that they are not looked for.

Error store_is_behind() {
  return make_error(ErrorCode::kDataLoss,
                    "The store lacks writes that the release log knows of: a file of it was cut "
                    "off, lost or put back. Nothing is answered from it. Put the newest store "
                    "back, or `restore` a backup; if what is lost is lost, `serve "
                    "--accept-lost-writes` goes on without.");
}

Result<crypto::Digest> hash_beginning(const std::string& path, uint64_t size) {
  crypto::Sha256 hash;
  for (uint64_t at = 0; at < size;) {
    SR_ASSIGN(const std::string part,
              env::real_files().read_range(path, at, std::min(kPart, size - at)));
    if (part.empty()) break;  // It became shorter meanwhile: another hash.
    hash.update(as_bytes(part));
    at += part.size();
  }
  return hash.finish();
}

Error other_term_key() {
  return make_error(ErrorCode::kDataLoss,
                    "gateway/term.key is not the one that this vault was written with, so nothing "
                    "would be found. Put it back, or `restore` a backup, which has it sealed; "
                    "nothing was lost.");
}

}  // namespace

ByteArray<32> term_check(const TermKey& term_key) {
  return crypto::hmac_sha256(term_key.read(SecretAccess{}), {as_bytes("sr1.term-check")});
}

StoreGuard::StoreGuard(store::Store& store, KeyService& keys, const TermKey& term_key,
                       bool accept_lost)
    : store_(store),
      keys_(keys),
      term_check_(gateway::term_check(term_key)),
      accept_lost_(accept_lost),
      opened_at_(store.position()) {}

Result<bool> StoreGuard::has_rows(uint32_t lane) {
  bool found = false;
  const auto [from, to] = index::lane_range(LaneId{lane});
  SR_TRY(
      store_.scan(store::Table::kPostings, from, to, [&found](std::string_view, std::string_view) {
        found = true;
        return false;
      }));
  return found;
}

// Whether one of the lists that the store was opened with begins so. One that is newer than the log
// has it was made behind it: then it is the log that was put back, which witnesses tell.
Result<bool> StoreGuard::began_as(const v1::StoreList& list) {
  if (list.number() == 0) return true;
  SR_ASSIGN(const auto opened, store_.opened_lists());
  if (!opened.empty() && opened.front().number > list.number()) return true;
  for (const store::FileList& one : opened) {
    if (one.number != list.number() || one.size < list.size()) continue;
    SR_ASSIGN(const crypto::Digest found, hash_beginning(one.path, list.size()));
    if (std::ranges::equal(found, as_bytes(list.sha256()))) return true;
  }
  return false;
}

Result<void> StoreGuard::check(const v1::SyncReply& log) {
  if (checked_) return {};
  const auto& expected = log.term_check();
  if (!expected.empty() && !std::ranges::equal(as_bytes(expected), term_check_)) {
    return other_term_key();
  }
  bool behind = opened_at_ < log.store_position();
  for (const uint32_t lane : log.store_lanes()) {
    if (behind) break;
    SR_ASSIGN(const bool found, has_rows(lane));
    behind = !found;
  }
  if (!behind) {
    SR_ASSIGN(const bool whole, began_as(log.store_list()));
    behind = !whole;
  }
  if (behind && !accept_lost_) return store_is_behind();
  lost_ = behind;
  checked_ = true;
  return {};
}

bool StoreGuard::wait(std::chrono::milliseconds most) const {
  for (; !checked_ && most.count() > 0; most -= kLook) std::this_thread::sleep_for(kLook);
  return checked_;
}

Result<void> StoreGuard::mark() {
  if (!checked_) return {};
  const uint64_t position = store_.position();
  const bool lost = lost_;
  SR_ASSIGN(const store::FileList files, store_.file_list());
  const std::pair at(files.number, files.size);
  if (position == marked_ && at == marked_list_ && !lost) return {};
  SR_TRY(store_.flush());  // All before it is durable now.
  v1::Call lanes;
  lanes.mutable_list_lanes();
  SR_ASSIGN(const v1::Reply listed, keys_.call_blocking(std::move(lanes)));
  v1::Call call;
  call.mutable_mark_store()->set_position(position);
  call.mutable_mark_store()->set_lost(lost);
  if (files.number != 0) {
    v1::StoreList& list = *call.mutable_mark_store()->mutable_list();
    SR_ASSIGN(const crypto::Digest hash, hash_beginning(files.path, files.size));
    list.set_number(files.number);
    list.set_size(files.size);
    list.set_sha256(std::string(as_text(hash)));
  }
  std::set<uint32_t> seen;
  for (const auto& lane : listed.list_lanes().lanes()) {
    if (!lane.packed() || !lane.searched()) continue;
    if (call.mark_store().lanes_size() == kLanesMax) break;
    bool found = seen_.contains(lane.lane());
    if (!found) {
      SR_ASSIGN(found, has_rows(lane.lane()));
    }
    if (!found) continue;
    seen.insert(lane.lane());
    call.mutable_mark_store()->add_lanes(lane.lane());
  }
  SR_ASSIGN(const v1::Reply marked, keys_.call_blocking(std::move(call)));
  static_cast<void>(marked);
  seen_ = std::move(seen);
  marked_ = position;
  marked_list_ = at;
  if (lost) lost_ = false;
  return store_.opened_lists_known();
}

}  // namespace strongroom::gateway
