// Reindexing and renewing terms of a GatewayVault, as its operator asks for it.
#pragma once

#include <gtest/gtest.h>

#include "test/support/gateway_vault.h"

namespace strongroom::test {

// What the operator may do, under the purpose of imports.
inline void allow(GatewayVault& vault, std::initializer_list<v1::Action> actions) {
  v1::ApplyPolicyRequest request;
  *request.mutable_policy() = vault.vault().founding().policy;
  request.mutable_policy()->clear_version();
  for (auto& role : *request.mutable_policy()->mutable_roles()) {
    if (role.name() != "operator") continue;
    auto& grant = *role.mutable_grants(0);
    grant.clear_actions();
    for (const auto action : actions) grant.add_actions(action);
    grant.clear_groups();
    grant.add_groups("identity");
    grant.add_groups("contact");
    grant.mutable_budget()->set_reindexed_per_day(kPlenty);
  }
  const auto done = vault.vault().server().apply_policy("officer", request);
  ASSERT_TRUE(done) << done.error().text;
  if (done->request() != 0) vault.vault().approve(done->request());
}

inline v1::SignedTicket ticket(GatewayVault& vault) {
  return vault.vault().ticket(
      {.principal = "operator", .purpose = "import", .records_max = kPlenty});
}
inline Result<v1::ReindexResponse> step(GatewayVault& vault, uint32_t records = 6) {
  v1::ReindexRequest request;
  *request.mutable_ticket() = ticket(vault);
  request.set_request_id(keyserver::fresh(16));
  request.set_records_max(records);
  return vault.loop().wait<v1::ReindexResponse>(
      [&](auto done) { vault.gateway().reindex(request, done); });
}
// To the end; how many were indexed since the job began.
inline Result<uint64_t> reindex(GatewayVault& vault, uint32_t records = 6) {
  for (int steps = 0; steps < 1000; ++steps) {
    SR_ASSIGN(const auto done, step(vault, records));
    if (done.finished()) return done.indexed();
  }
  return make_error(ErrorCode::kInternal, "it never ends");
}

// Asked, and not approved.
inline uint64_t ask_to_renew(GatewayVault& vault) {
  v1::RenewTermsRequest request;
  request.set_collection("person");
  request.set_reason("a gateway was stolen");
  const auto asked = vault.vault().server().renew_terms("operator", request);
  EXPECT_TRUE(asked) << asked.error().text;
  return asked->request();
}

}  // namespace strongroom::test
