#include "strongroom/watch/watcher.h"

#include <gtest/gtest.h>

#include <random>

#include "strongroom/watch/explain.h"

namespace strongroom::watch {
namespace {

using v1::AlarmItem;
using v1::WatchRule;

constexpr uint64_t kMonday = 1'699'833'600'000;  // 2023-11-13, 00:00 UTC.
constexpr uint64_t kRegistry = 1'000'000;

class WatcherTest : public testing::Test {
 protected:
  // Random records and terms: what has no pattern.
  std::vector<RecordIndex> some_records(size_t count) {
    std::vector<RecordIndex> out;
    while (out.size() < count) out.push_back(RecordIndex{random_() % kRegistry});
    return out;
  }
  std::vector<AlarmItem> step(Kind kind, uint64_t t_ms, uint64_t count,
                              std::vector<RecordIndex> records = {}, std::vector<Term> terms = {},
                              const char* purpose = "service", const char* who = "clerk") {
    Event event;
    event.leaf = ++leaf_;
    event.t_ms = t_ms;
    event.kind = kind;
    event.principal = who;
    event.gateway = "gw";
    event.purpose = purpose;
    event.collection = CollectionId{1};
    event.collection_records = kRegistry;
    event.count = count;
    event.records = records;
    event.terms = terms;
    std::vector<AlarmItem> alarms;
    watcher_.step(event, alarms);
    all_.insert(all_.end(), alarms.begin(), alarms.end());
    return alarms;
  }
  std::vector<AlarmItem> open(uint64_t t_ms, size_t count) {
    return step(Kind::kRelease, t_ms, count, some_records(count));
  }
  std::vector<AlarmItem> search(uint64_t t_ms) {
    return step(Kind::kSearch, t_ms, 1, {}, {{random_(), 0}});
  }
  // Working days of eight hours, from 8 on, with so many look-ups an hour.
  uint64_t work(uint64_t from, int days, int an_hour) {
    for (int done = 0; done < days; from += kDayMs) {
      if ((from / kDayMs + 3) % 7 >= 5) continue;
      for (uint64_t hour = 8; hour < 16; ++hour) {
        for (int i = 0; i < an_hour; ++i) {
          const uint64_t at = from + hour * kHourMs + static_cast<uint64_t>(i) * 1000;
          search(at);
          open(at, 1);
        }
      }
      ++done;
    }
    while ((from / kDayMs + 3) % 7 >= 5) from += kDayMs;
    return from;
  }
  static bool has(const std::vector<AlarmItem>& alarms, Rule rule) {
    return std::any_of(alarms.begin(), alarms.end(),
                       [&](const AlarmItem& a) { return a.rule() == rule; });
  }
  bool any(Rule rule) const { return has(all_, rule); }

  Watcher watcher_;
  std::vector<AlarmItem> all_;
  std::mt19937_64 random_{20261122};
  uint64_t leaf_ = 0;
};

TEST_F(WatcherTest, OrdinaryWorkSetsNothingOff) {
  work(kMonday, 40, 10);
  EXPECT_TRUE(all_.empty());
  EXPECT_EQ(watcher_.principals(), 1u);
}

TEST_F(WatcherTest, MoreThanFourTimesTheUsualRateIsOneAlarmWithItsEvidence) {
  const uint64_t day = work(kMonday, 10, 20);
  ASSERT_TRUE(all_.empty());
  std::vector<AlarmItem> alarms;
  uint64_t opened = 0;
  while (opened < 100) {
    const auto more = open(day + 9 * kHourMs, 1);
    ++opened;
    if (has(more, AlarmItem::RATE)) alarms.push_back(more.front());
  }
  ASSERT_EQ(alarms.size(), 1u) << "not again before it has doubled";
  EXPECT_EQ(alarms[0].observed(), 81u);
  EXPECT_EQ(alarms[0].limit(), 80u);
  EXPECT_EQ(alarms[0].usual(), 20u);
  EXPECT_EQ(alarms[0].periods(), 80u);
  EXPECT_EQ(alarms[0].principal(), "clerk");
  EXPECT_EQ(alarms[0].cause(), leaf_ - 19);
  EXPECT_EQ(explain(alarms[0]),
            "clerk opened 81 records in an hour: more than 80; usual are 20, over 80 hours of work "
            "(last for service)");
  while (opened < 162) {
    open(day + 9 * kHourMs, 1);
    ++opened;
  }
  EXPECT_EQ(std::count_if(all_.begin(), all_.end(),
                          [](const AlarmItem& a) {
                            return a.rule() == AlarmItem::RATE && a.measure() == AlarmItem::RECORDS;
                          }),
            2);
}

TEST_F(WatcherTest, SomebodyNewHasTwiceTheLeastUntilTheirHabitsAreKnown) {
  for (int i = 0; i < 120; ++i) EXPECT_FALSE(has(open(kMonday, 1), AlarmItem::RATE)) << i;
  EXPECT_TRUE(has(open(kMonday, 1), AlarmItem::RATE));
}

TEST_F(WatcherTest, ManyNamesAreBreadthAndOneNameManyTimesIsNot) {
  const uint64_t day = work(kMonday, 10, 6);
  for (int i = 0; i < 58; ++i) step(Kind::kSearch, day + 9 * kHourMs, 1, {}, {{42, 0}});
  EXPECT_FALSE(any(AlarmItem::BREADTH));
  for (int i = 0; i < 58; ++i) search(day + 10 * kHourMs);
  EXPECT_TRUE(any(AlarmItem::BREADTH));
  EXPECT_FALSE(any(AlarmItem::RATE));
}

TEST_F(WatcherTest, ADripBelowTheHourlyLimitsIsNoticedByTheDay) {
  uint64_t day = work(kMonday, 20, 5);  // 40 a day.
  ASSERT_TRUE(all_.empty());
  for (uint64_t hour = 8; hour < 18; ++hour) {
    for (int i = 0; i < 16; ++i) open(day + hour * kHourMs, 1);
  }
  EXPECT_TRUE(any(AlarmItem::DRIP));
  EXPECT_FALSE(any(AlarmItem::RATE));
  EXPECT_FALSE(any(AlarmItem::BREADTH));
}

TEST_F(WatcherTest, RecordAfterRecordIsAWalkAndRandomOnesAreNot) {
  for (uint64_t i = 0; i < 16; ++i) {
    EXPECT_FALSE(has(step(Kind::kRelease, kMonday, 1, {RecordIndex{5000 + i}}), AlarmItem::WALK));
  }
  step(Kind::kRelease, kMonday, 1, {RecordIndex{5016}});
  EXPECT_TRUE(any(AlarmItem::WALK)) << "16 that have a neighbour, of 17";
}

TEST_F(WatcherTest, NeighboursInOneAnswerAreNoWalk) {
  // A family, entered together, found together; and on the next day another.
  for (uint64_t family = 0; family < 30; ++family) {
    std::vector<RecordIndex> records;
    for (uint64_t i = 0; i < 4; ++i) records.push_back(RecordIndex{family * 1000 + i});
    step(Kind::kRelease, kMonday + family * 1000, 4, records);
  }
  EXPECT_FALSE(any(AlarmItem::WALK));
}

TEST_F(WatcherTest, NumberAfterNumberIsAWalk) {
  for (uint64_t i = 0; i < 25; ++i) {
    step(Kind::kSearch, kMonday + i, 1, {}, {{random_(), 777}});
  }
  EXPECT_TRUE(any(AlarmItem::WALK));
}

TEST_F(WatcherTest, OneNumberAgainAndAgainIsNoWalk) {
  for (uint64_t i = 0; i < 50; ++i) {
    step(Kind::kSearch, kMonday + i, 1, {}, {{12345, 777}});
    step(Kind::kSearch, kMonday + i, 1, {}, {{random_(), 1 + random_()}});
  }
  EXPECT_FALSE(any(AlarmItem::WALK));
}

TEST_F(WatcherTest, WorkAtNightIsNoticedOnceTheHoursAreKnown) {
  for (int i = 0; i < 20; ++i) search(kMonday + 2 * kHourMs);
  EXPECT_FALSE(any(AlarmItem::HOURS)) << "nothing is known of somebody new";
  all_.clear();
  const uint64_t day = work(kMonday + kDayMs, 30, 5);
  all_.clear();
  for (int i = 0; i < 10; ++i) search(day + 17 * kHourMs);
  EXPECT_FALSE(any(AlarmItem::HOURS)) << "an hour and a half late is no matter";
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(has(search(day + 23 * kHourMs), AlarmItem::HOURS));
  const auto alarms = search(day + 23 * kHourMs);
  ASSERT_TRUE(has(alarms, AlarmItem::HOURS));
  EXPECT_EQ(explain(alarms[0]),
            "clerk made 11 calls in an hour, an hour at which work was done on 0 of 31 such days "
            "before (last for service)");
}

TEST_F(WatcherTest, AWeekendIsNotAWorkingDay) {
  uint64_t day = work(kMonday, 20, 5);
  while ((day / kDayMs + 3) % 7 != 5) day += kDayMs;
  for (int i = 0; i < 11; ++i) search(day + 10 * kHourMs);
  EXPECT_TRUE(any(AlarmItem::HOURS));
}

TEST_F(WatcherTest, RefusedTriesAddUpWithinAnHour) {
  work(kMonday, 10, 5);
  const uint64_t day = kMonday + 14 * kDayMs;
  step(Kind::kRefusal, day + 9 * kHourMs, 30);
  EXPECT_FALSE(any(AlarmItem::REFUSALS));
  step(Kind::kRefusal, day + 10 * kHourMs, 30);
  EXPECT_FALSE(any(AlarmItem::REFUSALS)) << "another hour";
}

TEST_F(WatcherTest, ManyRefusedTriesAreAnAlarm) {
  step(Kind::kRefusal, kMonday, 60);
  EXPECT_FALSE(any(AlarmItem::REFUSALS));
  step(Kind::kRefusal, kMonday, 1);
  EXPECT_TRUE(any(AlarmItem::REFUSALS));
}

TEST_F(WatcherTest, ManyPurposesInADayAreAnAlarm) {
  const char* const purposes[] = {"a", "b", "c", "d", "e", "f", "g"};
  for (int i = 0; i < 6; ++i) {
    step(Kind::kSearch, kMonday, 1, {}, {}, purposes[i]);
    step(Kind::kSearch, kMonday, 1, {}, {}, purposes[i]);
  }
  EXPECT_FALSE(any(AlarmItem::PURPOSES)) << "twice the least, for somebody new";
  step(Kind::kSearch, kMonday, 1, {}, {}, purposes[6]);
  EXPECT_TRUE(any(AlarmItem::PURPOSES));
}

TEST_F(WatcherTest, AnEmergencyPurposeIsToldAtItsFirstUseEachDay) {
  const auto use = [&](uint64_t t_ms) {
    Event event;
    event.t_ms = t_ms;
    event.kind = Kind::kSearch;
    event.principal = "clerk";
    event.purpose = "emergency";
    event.count = 1;
    event.emergency = true;
    std::vector<AlarmItem> alarms;
    watcher_.step(event, alarms);
    return alarms;
  };
  const auto first = use(kMonday);
  ASSERT_TRUE(has(first, AlarmItem::EMERGENCY));
  EXPECT_EQ(explain(first.front()),
            "clerk made 1 call for an emergency in a day: more than 0 (last for emergency)");
  EXPECT_TRUE(has(use(kMonday + 1), AlarmItem::EMERGENCY)) << "twice as many";
  EXPECT_FALSE(has(use(kMonday + 2), AlarmItem::EMERGENCY));
  EXPECT_TRUE(has(use(kMonday + kDayMs), AlarmItem::EMERGENCY));
}

TEST_F(WatcherTest, AGatewayIsWatchedOverAllItsPrincipals) {
  for (int who = 0; who < 50; ++who) {
    const std::string name = "clerk" + std::to_string(who);
    step(Kind::kRelease, kMonday, 40, some_records(40), {}, "service", name.c_str());
  }
  EXPECT_FALSE(any(AlarmItem::GATEWAY_RATE));
  const auto alarms = step(Kind::kRelease, kMonday, 1, some_records(1));
  ASSERT_TRUE(has(alarms, AlarmItem::GATEWAY_RATE));
  EXPECT_EQ(alarms.front().principal(), "");
  EXPECT_EQ(explain(alarms.front()),
            "gateway gw opened 2001 records in an hour: more than 2000 (last for service)");
}

TEST_F(WatcherTest, ARefusalWithoutATicketIsTheGatewaysAlone) {
  step(Kind::kRefusal, kMonday, 401, {}, {}, "", "");
  EXPECT_EQ(watcher_.principals(), 0u);
  EXPECT_TRUE(any(AlarmItem::GATEWAY_REFUSALS));
  EXPECT_FALSE(any(AlarmItem::REFUSALS));
}

TEST_F(WatcherTest, TimeThatGoesBackNeitherReopensAnHourNorLosesOne) {
  for (int i = 0; i < 100; ++i) open(kMonday + kHourMs, 1);
  for (int i = 0; i < 20; ++i) open(kMonday, 1);
  EXPECT_FALSE(any(AlarmItem::RATE));
  EXPECT_TRUE(has(open(kMonday, 1), AlarmItem::RATE));
}

TEST_F(WatcherTest, ARuleThatIsOffSaysNothing) {
  v1::Watch watch;
  for (auto* rule : {watch.mutable_rate(), watch.mutable_breadth(), watch.mutable_drip()}) {
    rule->set_action(WatchRule::OFF);
  }
  watcher_.set_rules(*compile_rules(watch));
  for (int i = 0; i < 900; ++i) open(kMonday, 1);
  EXPECT_TRUE(all_.empty());
}

TEST_F(WatcherTest, TheSameHistoryGivesTheSameAlarms) {
  const auto run = [](uint64_t seed) {
    std::mt19937_64 random(seed);
    Watcher watcher;
    std::vector<AlarmItem> alarms;
    uint64_t t = kMonday;
    for (int i = 0; i < 20'000; ++i) {
      t += random() % 60'000;
      const RecordIndex records[] = {RecordIndex{random() % 9000}, RecordIndex{random() % 9000}};
      const Term terms[] = {{random() % 500, random() % 3}};
      Event event;
      event.leaf = static_cast<uint64_t>(i);
      event.t_ms = t;
      event.kind = static_cast<Kind>(random() % 4);
      event.principal = random() % 2 == 0 ? "a" : "b";
      event.gateway = "gw";
      event.purpose = random() % 2 == 0 ? "x" : "y";
      event.collection_records = 9000;
      event.count = 2;
      event.records = records;
      event.terms = terms;
      watcher.step(event, alarms);
    }
    std::string out;
    for (const AlarmItem& alarm : alarms) out += alarm.SerializeAsString();
    return out;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_FALSE(run(7).empty());
  EXPECT_NE(run(7), run(8));
}

TEST(DistinctTest, CountsWithinAFewPercentAndNeverBackwards) {
  std::mt19937_64 random(3);
  Distinct<4096> distinct;
  uint64_t last = 0;
  for (uint64_t n = 1; n <= 8192; ++n) {
    const uint64_t value = random();
    distinct.add(value);
    distinct.add(value);
    EXPECT_GE(distinct.count(), last);
    last = distinct.count();
    if (n >= 64) {
      EXPECT_NEAR(static_cast<double>(last), static_cast<double>(n), 0.05 * static_cast<double>(n));
    }
  }
  for (int i = 0; i < 1'000'000; ++i) distinct.add(random());
  EXPECT_LT(distinct.count(), 10u * 4096);
  EXPECT_GT(distinct.count(), 7u * 4096);
}

}  // namespace
}  // namespace strongroom::watch
