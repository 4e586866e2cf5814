#include "strongroom/gateway/grants.h"

#include "strongroom/gateway/online_writer.h"

namespace strongroom::gateway {
namespace {

// Takes the secrets out of the answer, and wipes it.
void take_secrets(std::string& from, WriteGrant& out) {
  const Bytes bytes = as_bytes(from);
  out.secrets.reserve(out.versions.size());
  for (size_t i = 0; i < out.versions.size(); ++i) {
    out.secrets.emplace_back(bytes.subspan(i * WriteSecret::kSize).first<WriteSecret::kSize>());
  }
  explicit_bzero(from.data(), from.size());
}

}  // namespace

Result<WriteGrant> ask_grant(KeyService& keys, v1::GrantCall ask) {
  const uint32_t most = ask.count();
  v1::Call call;
  call.mutable_grant()->Swap(&ask);
  SR_ASSIGN(v1::Reply reply, keys.call_blocking(std::move(call)));
  auto& granted = *reply.mutable_grant();
  if (granted.count() == 0 || granted.count() > most || granted.u() > kVersionMax ||
      granted.first() > RecordIndex::kMax - granted.count() ||
      granted.secrets().size() != granted.count() * WriteSecret::kSize) {
    return malformed_reply();
  }
  WriteGrant out;
  out.erasures = granted.erasures();
  out.revision = granted.revision();
  for (uint32_t i = 0; i < granted.count(); ++i) {
    out.versions.push_back({RecordIndex{granted.first() + i}, Version{granted.u()}});
  }
  take_secrets(*granted.mutable_secrets(), out);
  return out;
}

Result<WriteGrant> ask_update_grant(KeyService& keys, v1::UpdateGrantCall ask) {
  const auto items = ask.items();
  v1::Call call;
  call.mutable_update_grant()->Swap(&ask);
  SR_ASSIGN(v1::Reply reply, keys.call_blocking(std::move(call)));
  auto& granted = *reply.mutable_update_grant();
  const auto count = static_cast<size_t>(items.size());
  if (granted.u() > kVersionMax || granted.secrets().size() != count * WriteSecret::kSize) {
    return malformed_reply();
  }
  WriteGrant out;
  out.erasures = granted.erasures();
  out.revision = granted.revision();
  for (const auto& item : items) {
    if (granted.u() <= item.above_u()) return malformed_reply();
    out.versions.push_back({RecordIndex{item.idx()}, Version{granted.u()}});
  }
  take_secrets(*granted.mutable_secrets(), out);
  return out;
}

Result<OpenedLane> ask_lane(KeyService& keys, const v1::SignedTicket& ticket, LaneUse use) {
  v1::Call call;
  auto& ask = *call.mutable_open_lane();
  *ask.mutable_ticket() = ticket;
  ask.set_request_id(fresh_request_id());
  ask.set_update(use == LaneUse::kUpdate);
  ask.set_packed(use == LaneUse::kPacked || use == LaneUse::kRenewed);
  ask.set_renew(use == LaneUse::kRenewed);
  SR_ASSIGN(v1::Reply reply, keys.call_blocking(std::move(call)));
  auto& opened = *reply.mutable_open_lane();
  if (opened.root().size() != LaneRoot::kSize || opened.lane() > kLaneMax) return malformed_reply();
  OpenedLane out{LaneId{opened.lane()}, LaneRoot(as_bytes(opened.root()).first<LaneRoot::kSize>())};
  explicit_bzero(opened.mutable_root()->data(), opened.root().size());
  return out;
}

}  // namespace strongroom::gateway
