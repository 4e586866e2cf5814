#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "strongroom/keyserver/test_vault.h"
#include "strongroom/keyserver/tickets.h"

namespace strongroom::keyserver {
namespace {

class TicketTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(vault_.create()); }
  const char* use(const v1::SignedTicket& ticket, ErrorCode* code = nullptr) {
    const auto reply = vault_.call(tokens_call(ticket, {}, {std::string(16, 't')}));
    if (code != nullptr) *code = static_cast<ErrorCode>(reply.error().code());
    text_ = reply.error().text();
    return text_.c_str();
  }
  // Why a ticket with these terms, well signed, is refused.
  std::string refused(const v1::Ticket& terms) {
    ErrorCode code{};
    std::string text = use(sign_ticket(terms, vault_.key("clerk")), &code);
    EXPECT_TRUE(code == ErrorCode::kUnauthenticated || code == ErrorCode::kInvalidArgument) << text;
    return text;
  }
  TestVault vault_;
  std::string text_;
};

TEST_F(TicketTest, AGenuineTicketIsGoodUntilItExpires) {
  const auto ticket = vault_.ticket({.lifetime_ms = 10'000});
  EXPECT_STREQ(use(ticket), "");
  vault_.clock().advance_ms(9'999);
  EXPECT_STREQ(use(ticket), "");
  vault_.clock().advance_ms(1);
  EXPECT_NE(std::string(use(ticket)).find("expired"), std::string::npos);
  ASSERT_TRUE(vault_.server().tick());
  EXPECT_NE(std::string(use(ticket)).find("expired"), std::string::npos) << "and once forgotten";
  ASSERT_TRUE(vault_.open());
  EXPECT_NE(std::string(use(ticket)).find("expired"), std::string::npos);
}

TEST_F(TicketTest, AForgedTicketIsRefusedEvenWhereTheGenuineOneIsKnown) {
  const auto ticket = vault_.ticket();
  EXPECT_STREQ(use(ticket), "");
  auto forged = ticket;
  forged.mutable_signature()->back() = static_cast<char>(forged.signature().back() ^ 1);
  EXPECT_STRNE(use(forged), "");
  forged = ticket;
  forged.mutable_ticket()->back() = static_cast<char>(forged.ticket().back() ^ 1);
  EXPECT_STRNE(use(forged), "");
  EXPECT_STRNE(use(sign_ticket(vault_.ticket_terms(), vault_.key("officer"))), "");
  auto terms = vault_.ticket_terms();
  terms.set_principal("nobody");
  EXPECT_STRNE(use(sign_ticket(terms, vault_.key("clerk"))), "");
  EXPECT_STREQ(use(ticket), "");
}

// What a gateway could do with a ticket for one change, and with one for anything else.
TEST(ChangeTicketTest, AChangeIsOfTheRecordThatTheTicketNames) {
  TestVault vault;
  // A clerk whom the policy lets do everything: what is refused here, the ticket refuses.
  for (v1::Role& role : *vault.founding().policy.mutable_roles()) {
    if (role.name() != "clerk") continue;
    for (v1::Grant& grant : *role.mutable_grants()) {
      for (const auto action : {v1::IMPORT, v1::UPDATE}) grant.add_actions(action);
      grant.mutable_budget()->set_writes_per_day(100);
    }
  }
  ASSERT_TRUE(vault.create());
  const uint64_t first = vault.call(grant_call(vault.import_ticket(), 4)).grant().first();
  const uint64_t u = 1;
  const auto refused = [&](const v1::Call& call) {
    const auto reply = vault.call(call);
    return reply.has_error() && reply.error().text().find("for a change of") != std::string::npos;
  };
  const auto change = [&](const v1::SignedTicket& ticket,
                          const std::vector<std::pair<uint64_t, uint64_t>>& items) {
    v1::Call call = update_call(ticket, items);
    call.mutable_update_grant()->set_update(true);
    return call;
  };
  const auto replace = [&](const v1::SignedTicket& ticket, uint64_t old) {
    v1::Call call = grant_call(ticket, 1);
    call.mutable_grant()->set_replaces(old);
    return call;
  };
  const auto check = [&](const v1::SignedTicket& ticket, v1::Action action) {
    v1::Call call;
    *call.mutable_check()->mutable_ticket() = ticket;
    call.mutable_check()->set_action(action);
    return call;
  };
  const auto own = vault.change_ticket("clerk", "service", RecordIndex{first});
  EXPECT_FALSE(refused(check(own, v1::UPDATE)));
  EXPECT_TRUE(vault.call(change(own, {{first, u}})).has_update_grant());
  EXPECT_TRUE(vault.call(replace(own, first)).has_grant());
  EXPECT_TRUE(vault.call(release_call(own, {}, {{first, u}}, 2, true)).has_release());
  // Another record, or one more.
  EXPECT_TRUE(refused(change(own, {{first + 1, u}})));
  EXPECT_TRUE(refused(change(own, {{first, u}, {first + 1, u}})));
  EXPECT_TRUE(refused(replace(own, first + 1)));
  EXPECT_TRUE(refused(release_call(own, {}, {{first, u}}, 2))) << "as if found";
  EXPECT_TRUE(refused(release_call(own, {}, {{first + 1, u}}, 2, true)));
  EXPECT_TRUE(refused(release_call(own, {}, {{first, u}, {first + 1, u}}, 2, true)));
  // Anything else.
  EXPECT_TRUE(refused(update_call(own, {{first, u}})));
  EXPECT_TRUE(refused(grant_call(own, 1)));
  EXPECT_TRUE(refused(lane_call(own, false)));
  EXPECT_TRUE(refused(tokens_call(own, {}, {std::string(16, 't')})));
  EXPECT_TRUE(refused(check(own, v1::IMPORT)));
  // And with another ticket no single record.
  const auto other = vault.ticket();
  EXPECT_TRUE(refused(check(other, v1::UPDATE)));
  EXPECT_TRUE(refused(change(other, {{first, u}})));
  EXPECT_TRUE(refused(replace(other, first)));
  auto terms = vault.ticket_terms();
  terms.set_changes("short");
  EXPECT_TRUE(refused(change(sign_ticket(terms, vault.key("clerk")), {{first, u}})));
}

// With one ticket from two places: it is the call that comes from somewhere.
TEST(TicketPlaceTest, EveryCallUnderATicketIsHeldToTheNetworksOfItsGrant) {
  TestVault vault;
  for (v1::Role& role : *vault.founding().policy.mutable_roles()) {
    for (v1::Grant& grant : *role.mutable_grants()) {
      if (role.name() == "clerk") {
        for (const auto action : {v1::IMPORT, v1::ERASE}) grant.add_actions(action);
        grant.mutable_budget()->set_writes_per_day(100);
        grant.mutable_budget()->set_erasures_per_day(10);
      }
      grant.add_networks("10.20.0.0/16");
    }
  }
  ASSERT_TRUE(vault.create());
  const auto from = [](v1::SignedTicket ticket, const std::string& bytes) {
    ticket.set_from(bytes);
    return ticket;
  };
  const std::string inside{10, 20, 3, 4}, outside{10, 21, 3, 4};
  const auto importer = vault.import_ticket();
  const auto grant = vault.call(grant_call(from(importer, inside), 4));
  ASSERT_TRUE(grant.has_grant());
  const uint64_t first = grant.grant().first(), u = grant.grant().u();
  const auto ticket = vault.ticket();
  const auto erasing = [&] {
    auto terms = vault.ticket_terms();
    const RecordIndex record{first + 3};
    terms.set_erases(erasure_digest({&record, 1}));
    return sign_ticket(terms, vault.key("clerk"));
  }();
  const std::vector<std::function<v1::Call(const std::string&)>> calls = {
      [&](const auto& at) { return tokens_call(from(ticket, at), {}, {std::string(16, 't')}); },
      [&](const auto& at) {
        return release_call(from(ticket, at), {}, {{first, u}}, 2, true);
      },
      [&](const auto& at) { return grant_call(from(importer, at), 1); },
      [&](const auto& at) { return lane_call(from(importer, at), true); },
      [&](const auto& at) { return unique_call(from(importer, at), {std::string(16, 'u')}); },
      [&](const auto& at) {
        v1::Call call;
        *call.mutable_check()->mutable_ticket() = from(ticket, at);
        call.mutable_check()->set_action(v1::FIND);
        return call;
      },
      [&](const auto& at) {
        v1::Call call;
        *call.mutable_erase()->mutable_ticket() = from(erasing, at);
        call.mutable_erase()->set_request_id(std::string(16, 'e'));
        call.mutable_erase()->add_records(first + 3);
        return call;
      },
  };
  for (size_t i = 0; i < calls.size(); ++i) {
    for (const std::string& at : {outside, std::string()}) {
      const auto reply = vault.call(calls[i](at));
      EXPECT_EQ(reply.error().code(), static_cast<uint32_t>(ErrorCode::kPermissionDenied)) << i;
      EXPECT_NE(reply.error().text().find("from the network"), std::string::npos) << i;
    }
    EXPECT_FALSE(vault.call(calls[i](std::string(5, '\1'))).error().text().empty()) << i;
    const auto reply = vault.call(calls[i](inside));
    EXPECT_FALSE(reply.has_error()) << i << ": " << reply.error().text();
  }
}

TEST(TicketPlaceTest, TheLogSaysWhereACallCameFrom) {
  TestVault vault;
  ASSERT_TRUE(vault.create());
  auto ticket = vault.ticket();
  ticket.set_from(std::string{10, 20, 3, 4});
  ASSERT_TRUE(vault.call(tokens_call(ticket, {}, {std::string(16, 't')})).has_tokens());
  v1::LogEntriesRequest request;
  request.set_count(kLogEntriesMax);
  const auto entries = vault.server().log_entries("officer", request);
  ASSERT_TRUE(entries);
  v1::LogItem item;
  ASSERT_TRUE(item.ParseFromString(entries->entries().rbegin()->items(0)));
  EXPECT_EQ(item.ticket().from(), ticket.from());
  v1::SignedTicket logged;
  ASSERT_TRUE(logged.ParseFromString(item.ticket().ticket()));
  EXPECT_TRUE(logged.from().empty()) << "the ticket itself is what was signed";
}

TEST_F(TicketTest, EachTermIsChecked) {
  std::set<std::string> texts;
  auto terms = vault_.ticket_terms();
  const auto check = [&](auto change) {
    terms = vault_.ticket_terms();
    change(terms);
    const std::string text = refused(terms);
    EXPECT_NE(text, "");
    texts.insert(text);
  };
  check([](auto& t) { t.set_vault(std::string(16, 'x')); });
  check([](auto& t) { t.set_gateway("gateway-2"); });
  check([](auto& t) { t.set_nonce("short"); });
  check([](auto& t) { t.set_case_reference("a\nb"); });
  check([](auto& t) { t.set_expires_ms(t.issued_ms()); });
  check([](auto& t) { t.set_expires_ms(t.issued_ms() + 900'001); });
  check([](auto& t) {
    t.set_issued_ms(t.issued_ms() + 60'001);
    t.set_expires_ms(t.issued_ms() + 1000);
  });
  check([](auto& t) {
    t.set_issued_ms(t.issued_ms() - 5000);
    t.set_expires_ms(t.issued_ms() + 5000);
  });
  EXPECT_EQ(texts.size(), 8u);
  check([](auto& t) { t.set_case_reference(std::string(201, 'c')); });
  check([](auto& t) { t.set_case_reference(std::string(2000, 'c')); });
}

TEST_F(TicketTest, AFieldThatThisVersionDoesNotKnowIsRefused) {
  v1::SignedTicket ticket;
  ticket.set_ticket(vault_.ticket_terms().SerializeAsString() + "\xa0\x06\x01");  // Field 100.
  const auto signature = vault_.key("clerk").sign(as_bytes(ticket_message(ticket.ticket())));
  ticket.set_signature(std::string(as_text(signature)));
  EXPECT_STRNE(use(ticket), "");
}

TEST_F(TicketTest, ClocksMayDifferByAMinute) {
  auto terms = vault_.ticket_terms();
  terms.set_issued_ms(terms.issued_ms() + 60'000);
  terms.set_expires_ms(terms.issued_ms() + 1000);
  EXPECT_STREQ(use(sign_ticket(terms, vault_.key("clerk"))), "");
}

TEST_F(TicketTest, ASecondTicketWithOneNonceIsRefusedUntilTheFirstHasExpired) {
  auto terms = vault_.ticket_terms({.lifetime_ms = 60'000});
  EXPECT_STREQ(use(sign_ticket(terms, vault_.key("clerk"))), "");
  terms.set_records_max(51);
  EXPECT_STRNE(use(sign_ticket(terms, vault_.key("clerk"))), "");
  ASSERT_TRUE(vault_.open());
  terms.set_records_max(52);
  EXPECT_STRNE(use(sign_ticket(terms, vault_.key("clerk"))), "") << "after a restart too";
  vault_.clock().advance_ms(60'000);
  terms.set_issued_ms(vault_.clock().wall_ms());
  terms.set_expires_ms(terms.issued_ms() + 1000);
  EXPECT_STREQ(use(sign_ticket(terms, vault_.key("clerk"))), "");
}

TEST_F(TicketTest, ANewKeyEndsTheTicketsOfTheOldOne) {
  const auto ticket = vault_.ticket();
  EXPECT_STREQ(use(ticket), "");
  auto key = crypto::SigningKey::generate();
  v1::RekeyPrincipalRequest request;
  request.set_name("clerk");
  request.set_public_key(std::string(as_text(key.public_key())));
  ASSERT_TRUE(vault_.server().rekey_principal("clerk", request));
  EXPECT_STRNE(use(ticket), "");
  vault_.set_key("clerk", std::move(key));
  EXPECT_STREQ(use(vault_.ticket()), "");
  ASSERT_TRUE(vault_.open());
  EXPECT_STRNE(use(ticket), "");
  EXPECT_STREQ(use(vault_.ticket()), "");
}

TEST_F(TicketTest, ADisabledPrincipalsTicketsEnd) {
  const auto ticket = vault_.ticket();
  EXPECT_STREQ(use(ticket), "");
  v1::DisablePrincipalRequest request;
  request.set_name("clerk");
  ASSERT_TRUE(vault_.server().disable_principal("operator", request));
  EXPECT_NE(std::string(use(ticket)).find("disabled"), std::string::npos);
  ASSERT_TRUE(vault_.open());
  EXPECT_NE(std::string(use(ticket)).find("disabled"), std::string::npos);
}

TEST(AnswersTest, WhatWasAddedIsFoundAndNothingElse) {
  Answers answers;
  EXPECT_EQ(answers.find(1), nullptr);
  std::set<uint64_t> keys;
  for (uint64_t i = 0; i < 5000; ++i) {
    // Half of them crowd one place of any table.
    const uint64_t key = i % 2 == 0 ? record_key(7, RecordIndex{i}) : i << 32;
    keys.insert(key);
    answers.add(key).records = i;
    EXPECT_EQ(answers.add(key).records, i);
  }
  EXPECT_EQ(answers.size(), keys.size());
  for (const uint64_t key : keys) ASSERT_NE(answers.find(key), nullptr);
  for (uint64_t i = 0; i < 5000; ++i) {
    const uint64_t key = record_key(8, RecordIndex{i});
    EXPECT_EQ(answers.find(key) != nullptr, keys.contains(key));
  }
}

TEST(AnswersTest, RequestIdsThatDifferInAnyByteHaveKeysOfTheirOwn) {
  const RequestKeys request_keys;
  std::set<uint64_t> keys;
  ByteArray<16> id{};
  for (size_t at = 0; at < id.size(); ++at) {
    for (int value = 1; value < 256; ++value) {
      id[at] = static_cast<uint8_t>(value);
      keys.insert(request_keys.of(id));
      id[at] = 0;
    }
  }
  EXPECT_EQ(keys.size(), 16u * 255);
}

}  // namespace
}  // namespace strongroom::keyserver
