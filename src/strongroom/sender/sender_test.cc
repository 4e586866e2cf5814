#include "strongroom/sender/sender.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "strongroom/env/files.h"

namespace strongroom::sender {
namespace {

using v1::AlarmItem;
using v1::WatchRule;

v1::Alarm alarm_at(uint64_t leaf) {
  v1::Alarm alarm;
  alarm.set_leaf(leaf);
  alarm.set_t_ms(1'700'000'000'123);
  alarm.mutable_alarm()->set_rule(AlarmItem::RATE);
  alarm.mutable_alarm()->set_measure(AlarmItem::RECORDS);
  alarm.mutable_alarm()->set_action(WatchRule::FREEZE);
  alarm.mutable_alarm()->set_principal("clerk");
  alarm.mutable_alarm()->set_observed(81);
  alarm.set_text("clerk opened 81 records in an hour");
  alarm.set_consequence("clerk is frozen");
  return alarm;
}

class Source : public AlarmSource {
 public:
  Result<v1::ListAlarmsResponse> alarms(uint64_t after, uint32_t count) override {
    if (away) return make_error(ErrorCode::kUnavailable, "away");
    v1::ListAlarmsResponse out;
    if (after < forgotten) {
      out.set_forgotten(forgotten);
    }
    for (const uint64_t leaf : leaves) {
      if (leaf > after && static_cast<uint32_t>(out.alarms_size()) < count) {
        *out.add_alarms() = alarm_at(leaf);
      }
    }
    return out;
  }
  std::vector<uint64_t> leaves;
  uint64_t forgotten = 0;
  bool away = false;
};

struct Taken {
  std::vector<uint64_t> leaves;
  int failing = 0;
};
class FakeEnd : public AlarmSink {
 public:
  FakeEnd(std::string name, Taken& taken) : name_(std::move(name)), taken_(taken) {}
  const std::string& name() const override { return name_; }
  Result<void> send(const v1::Alarm& alarm) override {
    if (taken_.failing > 0) {
      --taken_.failing;
      return make_error(ErrorCode::kUnavailable, "away");
    }
    taken_.leaves.push_back(alarm.leaf());
    return {};
  }

 private:
  std::string name_;
  Taken& taken_;
};

class SenderTest : public testing::Test {
 protected:
  SenderTest() {
    std::string path = "/tmp/sr-sender.XXXXXX";
    SR_CHECK(mkdtemp(path.data()) != nullptr, "a temporary folder");
    dir_ = path;
  }
  ~SenderTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
  std::unique_ptr<Sender> open() {
    std::vector<std::unique_ptr<AlarmSink>> sinks;
    sinks.push_back(std::make_unique<FakeEnd>("a", a_));
    sinks.push_back(std::make_unique<FakeEnd>("b", b_));
    auto out = Sender::open(source_, std::move(sinks), env::real_files(), dir_ + "/sender.json",
                            [this](const std::string& sink, const Error* error) {
                              told_.push_back(sink + (error == nullptr ? " works" : " fails"));
                            });
    SR_CHECK(out.has_value(), "a sender");
    return *std::move(out);
  }
  std::string dir_;
  Source source_;
  Taken a_, b_;
  std::vector<std::string> told_;
};

using Leaves = std::vector<uint64_t>;

TEST_F(SenderTest, EachSinkGetsEachAlarmOnceInOrderOverRestarts) {
  source_.leaves = {3, 5, 8};
  ASSERT_TRUE(open()->step(0));
  source_.leaves.push_back(9);
  ASSERT_TRUE(open()->step(0));
  EXPECT_EQ(a_.leaves, (Leaves{3, 5, 8, 9}));
  EXPECT_EQ(b_.leaves, (Leaves{3, 5, 8, 9}));
}

TEST_F(SenderTest, OneThatIsAwayIsTriedLaterAndLaterAndHoldsUpNoOther) {
  source_.leaves = {3, 5};
  a_.failing = 3;
  const auto sender = open();
  ASSERT_TRUE(sender->step(0));
  EXPECT_EQ(b_.leaves, (Leaves{3, 5}));
  ASSERT_TRUE(sender->step(999));
  EXPECT_EQ(a_.failing, 2) << "not before a second";
  ASSERT_TRUE(sender->step(1000));
  EXPECT_EQ(a_.failing, 1);
  ASSERT_TRUE(sender->step(2999));
  EXPECT_EQ(a_.failing, 1) << "then two";
  ASSERT_TRUE(sender->step(3000));
  ASSERT_TRUE(sender->step(7000));
  EXPECT_EQ(a_.leaves, (Leaves{3, 5}));
  EXPECT_EQ(told_, (std::vector<std::string>{"a fails", "a works"}));
}

TEST_F(SenderTest, WhatTheKeyServerNoLongerKeepsIsToldAndTheRestIsSent) {
  source_.forgotten = 4;
  source_.leaves = {5};
  ASSERT_TRUE(open()->step(0));
  EXPECT_EQ(a_.leaves, (Leaves{5}));
  EXPECT_EQ(told_, (std::vector<std::string>{"a fails", "b fails"}));
}

TEST_F(SenderTest, ASourceThatIsAwayLosesNothing) {
  source_.leaves = {1};
  source_.away = true;
  const auto sender = open();
  EXPECT_FALSE(sender->step(0));
  source_.away = false;
  ASSERT_TRUE(sender->step(0));
  EXPECT_EQ(a_.leaves, (Leaves{1}));
}

TEST_F(SenderTest, TheOcsfFileHasOneFindingALineAndMendsATornOne) {
  v1::SinksFile file;
  auto& sink = *file.add_sinks();
  sink.set_name("siem");
  sink.mutable_ocsf()->set_file("alarms.ndjson");
  std::string name;
  auto sinks =
      make_sinks(file, {dir_, {"00ff", "0.1"}, env::real_files(), env::real_clock()}, &name);
  ASSERT_TRUE(sinks);
  ASSERT_TRUE(sinks->front()->send(alarm_at(3)));
  std::filesystem::resize_file(dir_ + "/alarms.ndjson",
                               std::filesystem::file_size(dir_ + "/alarms.ndjson") - 5);
  ASSERT_TRUE(sinks->front()->send(alarm_at(4)));
  const auto text = env::real_files().read(dir_ + "/alarms.ndjson", 1 << 20);
  ASSERT_TRUE(text);
  const size_t line = text->find('\n');
  ASSERT_NE(line, std::string::npos);
  google::protobuf::Struct event;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(text->substr(line + 1), &event).ok());
  const auto& fields = event.fields();
  EXPECT_EQ(fields.at("class_uid").number_value(), 2004);
  EXPECT_EQ(fields.at("severity_id").number_value(), 5);
  EXPECT_EQ(fields.at("time").number_value(), 1'700'000'000'123.0);
  EXPECT_NE(text->find("\"time\":1700000000123"), std::string::npos) << "no exponent";
  EXPECT_EQ(fields.at("metadata").struct_value().fields().at("uid").string_value(),
            "00ff-4-RATE-RECORDS-clerk");
}

TEST_F(SenderTest, SyslogGetsALineOfRfc5424) {
  const std::string path = dir_ + "/log";
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  v1::SinksFile file;
  auto& sink = *file.add_sinks();
  sink.set_name("local");
  sink.mutable_syslog()->set_socket(path);
  std::string name;
  auto sinks = make_sinks(file, {dir_, {}, env::real_files(), env::real_clock()}, &name);
  ASSERT_TRUE(sinks);
  ASSERT_TRUE(sinks->front()->send(alarm_at(3)));
  char line[1024] = {};
  ASSERT_GT(recv(fd, line, sizeof line - 1, 0), 0);
  EXPECT_STREQ(
      line,
      "<82>1 2023-11-14T22:13:20.123Z - strongroom - alarm - clerk opened 81 records in an "
      "hour; clerk is frozen (log entry 3)");
  close(fd);
  EXPECT_FALSE(sinks->front()->send(alarm_at(4))) << "nobody listens";
}

TEST(WebhookTest, TheSignatureIsOverTimeAndBody) {
  // printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef
  EXPECT_EQ(webhook_signature(as_bytes("0123456789abcdef"), 1'700'000'000, "{}"),
            "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e");
  EXPECT_NE(webhook_signature(as_bytes("0123456789abcdef"), 1'700'000'001, "{}"),
            webhook_signature(as_bytes("0123456789abcdef"), 1'700'000'000, "{}"));
}

TEST(SinksTest, WhatCannotWorkIsRefusedBeforeItIsNeeded) {
  const auto refused = [](const auto& fill) {
    v1::SinksFile file;
    fill(file);
    std::string name;
    return !make_sinks(file, {"/tmp", {}, env::real_files(), env::real_clock()}, &name);
  };
  EXPECT_TRUE(refused([](v1::SinksFile& f) { f.add_sinks()->mutable_syslog(); }));
  EXPECT_TRUE(refused([](v1::SinksFile& f) { f.add_sinks()->set_name("x"); }));
  EXPECT_TRUE(refused([](v1::SinksFile& f) {
    for (int i = 0; i < 2; ++i) {
      auto& sink = *f.add_sinks();
      sink.set_name("x");
      sink.mutable_syslog();
    }
  }));
  for (const char* url : {"http://a/", "https://", "https://a:b/", "https://u@a/", "https://a b/",
                          "https://a\r\nx: y/"}) {
    EXPECT_TRUE(refused([&](v1::SinksFile& f) {
      auto& sink = *f.add_sinks();
      sink.set_name("x");
      sink.mutable_webhook()->set_url(url);
      sink.mutable_webhook()->set_secret_file("/etc/passwd");
    })) << url;
  }
}

}  // namespace
}  // namespace strongroom::sender
