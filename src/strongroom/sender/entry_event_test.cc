// Entries as others' tools read them.
#include "strongroom/sender/entry_event.h"

#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "strongroom/v1/log.pb.h"

namespace strongroom::sender {
namespace {

using google::protobuf::Struct;

const Origin kOrigin{"00ff", "test"};

v1::LogEntryView entry_of(const char* type, std::initializer_list<v1::LogItem> items) {
  v1::LogEntryView entry;
  entry.set_leaf(7);
  entry.set_type(type);
  entry.set_t_ms(1'700'000'000'000);
  for (const auto& item : items) entry.add_items(item.SerializeAsString());
  return entry;
}

std::vector<Struct> events(const v1::LogEntryView& entry) {
  std::vector<Struct> out;
  const auto lines = entry_events(entry, kOrigin);
  EXPECT_TRUE(lines);
  for (const std::string& line : *lines) {
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(line, &out.emplace_back()).ok());
  }
  return out;
}

double number(const Struct& event, const char* key) {
  return event.fields().at(key).number_value();
}

v1::LogItem ticket_item() {
  v1::LogItem item;
  item.mutable_ticket()->set_principal("clerk");
  item.mutable_ticket()->set_purpose("service");
  item.mutable_ticket()->set_case_reference("A-1");
  item.mutable_ticket()->set_collection(3);
  item.mutable_ticket()->set_charge(2);
  return item;
}

TEST(EntryEventTest, ARelease) {
  v1::LogItem opened;
  opened.mutable_release()->set_idx(4711);
  opened.mutable_release()->set_u(815);
  const auto entry = entry_of("release", {ticket_item(), opened, opened});
  const auto lines = entry_events(entry, kOrigin);
  ASSERT_EQ(lines->size(), 1u);
  EXPECT_THAT((*lines)[0], testing::Not(testing::HasSubstr("4711"))) << "no record is named";
  const Struct event = events(entry)[0];
  EXPECT_EQ(number(event, "class_uid"), 6005);
  EXPECT_EQ(number(event, "type_uid"), 600501);
  EXPECT_EQ(number(event, "time"), 1'700'000'000'000);
  EXPECT_EQ(number(event, "count"), 2);
  const auto& user = event.fields().at("actor").struct_value().fields().at("user").struct_value();
  EXPECT_EQ(user.fields().at("name").string_value(), "clerk");
  const auto& more = event.fields().at("unmapped").struct_value().fields();
  EXPECT_EQ(more.at("case_reference").string_value(), "A-1");
  EXPECT_EQ(more.at("log_leaf").number_value(), 7);
}

TEST(EntryEventTest, EachTypeHasItsActivity) {
  EXPECT_EQ(number(events(entry_of("token", {ticket_item()}))[0], "type_uid"), 600504);
  EXPECT_EQ(number(events(entry_of("grant", {ticket_item()}))[0], "type_uid"), 600505);
  EXPECT_EQ(number(events(entry_of("erasure", {ticket_item()}))[0], "type_uid"), 600507);
  v1::LogItem item;
  item.mutable_start()->set_version("1");
  EXPECT_EQ(number(events(entry_of("start", {item}))[0], "type_uid"), 600203);
  item.mutable_freeze()->set_scope("principal:clerk");
  EXPECT_EQ(number(events(entry_of("freeze", {item}))[0], "type_uid"), 300403);
  item.mutable_alarm()->set_rule(v1::AlarmItem::CANARY);
  EXPECT_EQ(number(events(entry_of("watch", {item}))[0], "type_uid"), 200401);
  item.mutable_refused()->set_count(9);
  const Struct refused = events(entry_of("watch", {item}))[0];
  EXPECT_EQ(number(refused, "status_id"), 2);
  EXPECT_EQ(number(refused, "count"), 9);
}

TEST(EntryEventTest, EveryItemOfAnEntryIsAnEventOfItsOwn) {
  v1::LogItem policy, principal, lane;
  policy.mutable_policy()->set_version(3);
  principal.mutable_principal()->set_name("clerk");
  lane.mutable_lane()->set_lane(1);
  const auto all = events(entry_of("policy", {policy, principal, lane}));
  ASSERT_EQ(all.size(), 2u) << "a lane tells nobody anything";
  const auto uid = [](const Struct& event) {
    return event.fields().at("metadata").struct_value().fields().at("uid").string_value();
  };
  EXPECT_NE(uid(all[0]), uid(all[1]));
}

TEST(EntryEventTest, AStoreIsToldOfWhenWritesAreLost) {
  v1::LogItem item;
  item.mutable_store()->set_position(7);
  EXPECT_TRUE(events(entry_of("grant", {item})).empty());
  item.mutable_store()->set_lost(true);
  EXPECT_EQ(events(entry_of("grant", {item})).size(), 1u);
}

TEST(EntryEventTest, WhatIsNoItemIsRefused) {
  v1::LogEntryView entry = entry_of("policy", {});
  entry.add_items("\xff");
  EXPECT_EQ(entry_events(entry, kOrigin).error().code, ErrorCode::kDataLoss);
}

}  // namespace
}  // namespace strongroom::sender
