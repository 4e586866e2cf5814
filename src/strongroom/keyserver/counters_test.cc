// What the log adds up to, written down: a start that goes by it decides as one that read the whole
// log, whatever happened in between, and a file that does not fit is passed over.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>

#include "strongroom/env/faulty_files.h"
#include "strongroom/keyserver/test_vault.h"
#include "strongroom/keyserver/unseal.h"
#include "strongroom/tlog/entry.h"

namespace strongroom::keyserver {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kEvery = 12;

void let_erase(TestVault& vault) {
  v1::Grant& grant =
      add_grant(*vault.founding().policy.mutable_roles(1), "person", "service", {v1::ERASE});
  grant.mutable_budget()->set_erasures_per_day(1000);
}

// A few calls of every kind that leaves something in the ledger. What is refused changes nothing.
class Work {
 public:
  Work(TestVault& vault, uint32_t seed) : vault_(vault), random_(seed) {}

  void step() {
    vault_.clock().advance_ms(random_() % 400'000);
    const auto pick = random_() % 16;
    if (pick < 4) {
      const auto ticket = vault_.ticket();
      const RequestId request;
      (void)vault_.call(tokens_call(ticket, request, {fresh(16), fresh(16)}));
      if (!records_.empty()) (void)vault_.call(release_call(ticket, request, {any_record()}));
    } else if (pick < 6) {
      if (!records_.empty()) {
        (void)vault_.call(release_call(standing_ticket(), {}, {any_record()}, 2, true));
      }
    } else if (pick < 8) {
      const auto reply = vault_.call(grant_call(vault_.import_ticket(), 3));
      for (uint64_t i = 0; i < reply.grant().count(); ++i) {
        records_.emplace_back(reply.grant().first() + i, reply.grant().u());
      }
    } else if (pick == 8) {
      const auto lane = vault_.call(lane_call(vault_.import_ticket(), random_() % 2 == 0));
      if (lane.has_open_lane()) {
        (void)vault_.call(publish_call(lane.open_lane().lane(), v1::PublishLaneCall::PUBLISH));
        (void)vault_.call(publish_call(lane.open_lane().lane(), v1::PublishLaneCall::CLOSE));
      }
    } else if (pick == 9) {
      if (!records_.empty()) (void)vault_.call(update_call(vault_.import_ticket(), {any_record()}));
    } else if (pick == 10) {
      v1::FreezeRequest freeze;
      freeze.set_scope("principal:p" + std::to_string(random_() % 5));
      (void)vault_.server().freeze("officer", freeze);
    } else if (pick == 11) {
      v1::AddPrincipalRequest add;
      add.set_name("p" + std::to_string(random_() % 5));
      add.set_role("clerk");
      add.set_public_key(fresh(32));
      const auto asked = vault_.server().add_principal("operator", add);
      if (asked && asked->request() != 0) {
        if (vault_.sign("approver1", asked->request())) {
          (void)vault_.sign("approver2", asked->request(), random_() % 3 == 0);
        }
      }
    } else if (pick == 12) {
      (void)vault_.call(unique_call(vault_.import_ticket(), {fresh(16)}));
    } else if (pick == 13 && !records_.empty()) {
      const uint64_t idx = any_record().first;
      auto terms = vault_.ticket_terms({.principal = "operator"});
      const RecordIndex named[] = {RecordIndex{idx}};
      terms.set_erases(erasure_digest(named));
      v1::Call call;
      *call.mutable_erase()->mutable_ticket() = sign_ticket(terms, vault_.key("operator"));
      call.mutable_erase()->set_request_id(fresh(kRequestIdSize));
      call.mutable_erase()->add_records(idx);
      (void)vault_.call(call);
    } else if (pick == 14) {
      (void)vault_.call(tokens_call(vault_.ticket({.purpose = "investigation"}), {}, {fresh(16)}));
    } else {
      v1::ApplyPolicyRequest apply;
      *apply.mutable_policy() = vault_.founding().policy;
      apply.mutable_policy()->set_contact("desk " + std::to_string(random_() % 1000));
      (void)vault_.server().apply_policy("officer", apply);
    }
  }

 private:
  std::pair<uint64_t, uint64_t> any_record() { return records_[random_() % records_.size()]; }
  // Used again and again, so that tickets and their answers outlive the files.
  const v1::SignedTicket& standing_ticket() {
    if (standing_.ticket().empty() || random_() % 8 == 0) standing_ = vault_.ticket();
    return standing_;
  }
  TestVault& vault_;
  std::mt19937 random_;
  std::vector<std::pair<uint64_t, uint64_t>> records_;
  v1::SignedTicket standing_;
};

std::string counters_dir(const TestVault& vault) {
  return vault.options().dir + "/counters";
}

std::vector<fs::path> files_in(const std::string& dir) {
  std::vector<fs::path> out;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(dir, none)) out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

// Whatever is due is begun, done and logged.
Result<void> settle(TestVault& vault) {
  for (int i = 0; i < 3; ++i) {
    SR_TRY(vault.server().tick());
    vault.server().counters().wait();
  }
  return vault.server().tick();
}

// The log of a closed vault, folded in from its first entry or from a file on.
class Folding {
 public:
  explicit Folding(TestVault& vault, env::Files& files = env::real_files())
      : vault_(vault), files_(files) {
    const auto state =
        KeyState::open({vault.options().dir + "/state", vault.options().mirror_dir + "/state"},
                       files, vault.root());
    SR_CHECK(state.has_value(), "a key state");
    for (auto& [month, key] : (*state)->body_keys()) keys_.add(month, std::move(key));
    const auto file = load_vault_file(files, vault.options().dir);
    id_ = vault_id(*file);
    tlog::LogOptions options;
    options.dir = log_dir();
    options.origin = file->origin();
    size_ = [&] {
      const auto log = tlog::ReleaseLog::open(options, files, keys_, (*state)->log_signers(),
                                              [](const tlog::Entry&) { return Result<void>(); });
      SR_CHECK(log.has_value(), "a log");
      return (*log)->size();
    }();
  }

  crypto::Digest from_start(const RequestKeys& keys) {
    Ledger ledger(id_, {kGateway});
    ledger.tickets().set_request_keys(keys);
    tlog::LogPoint point;
    return read_on(point, ledger);
  }
  // Nothing: the file does not open.
  std::optional<crypto::Digest> from_file(const fs::path& path, RequestKeys* keys) {
    Ledger ledger(id_, {kGateway});
    tlog::LogPoint point;
    const auto leaf = parse_counters_name(path.filename().string());
    SR_CHECK(leaf.has_value(), "a name");
    if (!read_counters(files_, path.string(), keys_, *leaf, point, ledger)) return std::nullopt;
    EXPECT_LE(point.leaf(), size_);
    *keys = ledger.tickets().request_keys();
    return read_on(point, ledger);
  }

 private:
  std::string log_dir() const { return vault_.options().dir + "/log"; }
  crypto::Digest read_on(tlog::LogPoint& point, Ledger& ledger) {
    const std::atomic<bool> stop = false;
    const auto read = tlog::read_log(
        files_, log_dir(), keys_, size_,
        [](const tlog::TileId&, std::string_view) { return Result<void>(); },
        [&](const tlog::Entry& entry) { return ledger.replay(entry); }, stop, point);
    EXPECT_TRUE(read) << read.error().text << " " << read.error().number;
    return contents_of(point, ledger);
  }
  TestVault& vault_;
  env::Files& files_;
  BodyKeyCopies keys_;
  ByteArray<16> id_{};
  uint64_t size_ = 0;
};

void expect_every_file_fits_the_log(TestVault& vault, env::Files& files = env::real_files()) {
  Folding folding(vault, files);
  for (const fs::path& path : files_in(counters_dir(vault))) {
    RequestKeys keys;
    const auto with_file = folding.from_file(path, &keys);
    if (!with_file) continue;  // Cut short by a crash.
    EXPECT_EQ(*with_file, folding.from_start(keys)) << path;
  }
}

class CountersTest : public testing::Test {
 protected:
  explicit CountersTest(env::Files& files = env::real_files()) : vault_(files) {
    vault_.options().counters_every = kEvery;
    let_erase(vault_);
  }
  void work(uint32_t seed, int steps) {
    Work history(vault_, seed);
    for (int i = 0; i < steps; ++i) history.step();
  }
  // A vault whose last start went by a file.
  void rely_on_a_file() {
    ASSERT_TRUE(vault_.create());
    work(7, 40);
    ASSERT_TRUE(settle(vault_));
    work(8, 5);
    ASSERT_TRUE(vault_.open());
    ASSERT_NE(vault_.server().counters().leaf(), 0u);
  }
  TestVault vault_;
};

TEST_F(CountersTest, AFileAndTheLogBehindItAreTheWholeLog) {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TestVault vault;
    vault.options().counters_every = kEvery;
    let_erase(vault);
    ASSERT_TRUE(vault.create());
    Work history(vault, seed);
    std::mt19937 random(seed);
    size_t relied = 0;
    for (int i = 0; i < 60; ++i) {
      history.step();
      if (random() % 4 == 0) {
        ASSERT_TRUE(settle(vault));
      }
      if (random() % 8 == 0) {
        const auto opened = vault.open();
        ASSERT_TRUE(opened) << opened.error().text;
        relied += vault.server().counters().leaf() != 0;
      }
    }
    ASSERT_TRUE(settle(vault));
    vault.close();
    EXPECT_GT(relied, 0u);
    EXPECT_FALSE(files_in(counters_dir(vault)).empty());
    expect_every_file_fits_the_log(vault);
  }
}

TEST_F(CountersTest, AStartGoesByTheFileAndReadsTheRestLater) {
  rely_on_a_file();
  EXPECT_FALSE(vault_.server().counters().checked());
  auto status = vault_.server().status("operator", {});
  ASSERT_TRUE(status);
  EXPECT_NE(status->counters_leaf(), 0u);
  EXPECT_LT(status->log_checked(), status->log_size());
  EXPECT_EQ(status->warnings_size(), 0);
  ASSERT_TRUE(settle(vault_));
  EXPECT_TRUE(vault_.server().counters().checked());
  status = vault_.server().status("operator", {});
  EXPECT_EQ(status->log_checked(), status->log_size());
}

// What the server says to whoever asks, short of what a start itself changes.
std::string answers_of(TestVault& vault) {
  KeyServer& server = vault.server();
  auto status = *server.status("operator", {});
  for (const char* changing :
       {"log_size", "checkpoint_size", "epoch", "started_ms", "epoch_began_ms", "epoch_due_ms",
        "counters_leaf", "log_checked", "erased_pending"}) {
    status.GetReflection()->ClearField(&status, status.GetDescriptor()->FindFieldByName(changing));
  }
  std::string out = status.DebugString();
  for (const char* who : {"clerk", "operator", "officer", "p1", "p2"}) {
    const auto me = server.me(who, {});
    out += me ? me->DebugString() : "none\n";
  }
  v1::ListRequestsRequest closed;
  closed.set_closed(true);
  out += server.list_requests("officer", closed)->DebugString();
  out += server.review_access("officer", {})->DebugString();
  out += server.show_policy("officer", {})->DebugString();
  auto alarms = *server.list_alarms("officer", {});
  alarms.clear_size();
  out += alarms.DebugString();
  v1::Call lanes, erasures;
  lanes.mutable_list_lanes();
  erasures.mutable_erasures();
  out += vault.call(lanes).DebugString() + vault.call(erasures).DebugString();
  return out;
}

TEST_F(CountersTest, WhoeverAsksIsToldTheSame) {
  for (uint32_t seed = 20; seed < 26; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TestVault vault;
    vault.options().counters_every = kEvery;
    let_erase(vault);
    ASSERT_TRUE(vault.create());
    Work work(vault, seed);
    for (int i = 0; i < 60; ++i) work.step();
    ASSERT_TRUE(settle(vault));
    for (int i = 0; i < 5; ++i) work.step();
    ASSERT_TRUE(vault.open());
    ASSERT_NE(vault.server().counters().leaf(), 0u);
    const std::string by_file = answers_of(vault);
    fs::remove_all(counters_dir(vault));
    ASSERT_TRUE(vault.open());
    ASSERT_EQ(vault.server().counters().leaf(), 0u);
    EXPECT_EQ(answers_of(vault), by_file);
  }
}

TEST_F(CountersTest, AtMostTwoFilesAreKept) {
  ASSERT_TRUE(vault_.create());
  uint64_t last = 0;
  for (int round = 0; round < 6; ++round) {
    work(static_cast<uint32_t>(round), 20);
    ASSERT_TRUE(settle(vault_));
    EXPECT_LE(files_in(counters_dir(vault_)).size(), 2u);
    EXPECT_GE(vault_.server().counters().leaf(), last);
    last = vault_.server().counters().leaf();
  }
  EXPECT_GT(last, 60u);
}

TEST_F(CountersTest, ABudgetUsedUpStaysSo) {
  ASSERT_TRUE(vault_.create());
  const auto granted = vault_.call(grant_call(vault_.import_ticket(), 200)).grant();
  const auto get = [&](uint64_t i) {
    return vault_.call(
        release_call(vault_.ticket(), {}, {{granted.first() + i, granted.u()}}, 2, true));
  };
  for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(get(i).has_release());
  const auto spent = vault_.ticket();
  const RequestId request;
  ASSERT_TRUE(vault_.call(tokens_call(spent, request, {fresh(16)})).has_tokens());
  ASSERT_TRUE(settle(vault_));
  for (int restart = 0; restart < 2; ++restart) {
    ASSERT_TRUE(vault_.open());
    ASSERT_NE(vault_.server().counters().leaf(), 0u);
    EXPECT_EQ(get(150).error().code(), static_cast<uint32_t>(ErrorCode::kBudgetExhausted));
    EXPECT_EQ(vault_.call(tokens_call(spent, request, {fresh(16)})).error().code(),
              static_cast<uint32_t>(ErrorCode::kReplayed));
  }
}

TEST_F(CountersTest, AFileThatTheLogDoesNotNameIsPassedOver) {
  ASSERT_TRUE(vault_.create());
  work(3, 40);
  ASSERT_TRUE(vault_.server().tick());  // The checkpoint.
  ASSERT_TRUE(vault_.server().tick());  // Begun.
  vault_.server().counters().wait();    // Written, and nobody has logged it.
  ASSERT_EQ(files_in(counters_dir(vault_)).size(), 1u);
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(vault_.server().counters().leaf(), 0u);
  EXPECT_EQ(vault_.server().status("operator", {})->warnings_size(), 1);
  ASSERT_TRUE(settle(vault_));
  EXPECT_NE(vault_.server().counters().leaf(), 0u);
}

TEST_F(CountersTest, ADamagedCutOrSwappedFileIsPassedOver) {
  rely_on_a_file();
  ASSERT_TRUE(settle(vault_));
  vault_.close();
  const auto files = files_in(counters_dir(vault_));
  ASSERT_GE(files.size(), 1u);
  const fs::path newest = files.back();
  std::string whole;
  {
    std::ifstream in(newest, std::ios::binary);
    whole.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto write = [&](const std::string& bytes) {
    std::ofstream(newest, std::ios::binary | std::ios::trunc) << bytes;
  };
  const uint64_t leaf = *parse_counters_name(newest.filename().string());
  const auto is_passed_over = [&] {
    const auto opened = vault_.open();
    ASSERT_TRUE(opened) << opened.error().text;
    EXPECT_LT(vault_.server().counters().leaf(), leaf);
    EXPECT_EQ(vault_.server().status("operator", {})->warnings_size(), 1);
    vault_.close();
  };
  for (size_t at = 0; at < whole.size(); at += at < 64 ? 1 : whole.size() / 16) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    write(bytes);
    is_passed_over();
  }
  for (const size_t size :
       {size_t{0}, size_t{31}, size_t{32}, whole.size() / 2, whole.size() - 1}) {
    write(whole.substr(0, size));
    is_passed_over();
  }
  write(whole + "x");
  is_passed_over();
  if (files.size() > 1) {
    fs::copy_file(files.front(), newest, fs::copy_options::overwrite_existing);
    is_passed_over();
  }
  write(whole);
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(vault_.server().counters().leaf(), leaf);
}

TEST_F(CountersTest, AFileThatGoesBadUnderARunningServerIsMadeAnew) {
  rely_on_a_file();
  const auto files = files_in(counters_dir(vault_));
  fs::resize_file(files.back(), 100);
  ASSERT_TRUE(settle(vault_)) << "what the start read is still known";
  EXPECT_TRUE(vault_.server().counters().checked());
  const uint64_t leaf = vault_.server().counters().leaf();
  work(10, 30);
  ASSERT_TRUE(settle(vault_));
  EXPECT_GT(vault_.server().counters().leaf(), leaf);
  vault_.close();
  expect_every_file_fits_the_log(vault_);
  ASSERT_TRUE(vault_.open());
  EXPECT_GT(vault_.server().counters().leaf(), leaf);
}

TEST_F(CountersTest, AnOlderFilePutBackCostsTimeAndNothingElse) {
  rely_on_a_file();
  const std::string older = vault_.dir() + "/older";
  fs::copy(counters_dir(vault_), older);
  work(9, 30);
  ASSERT_TRUE(settle(vault_));
  vault_.close();
  fs::remove_all(counters_dir(vault_));
  fs::copy(older, counters_dir(vault_));
  ASSERT_TRUE(vault_.open());
  EXPECT_NE(vault_.server().counters().leaf(), 0u);
  ASSERT_TRUE(settle(vault_));
  vault_.close();
  expect_every_file_fits_the_log(vault_);
}

TEST_F(CountersTest, ALogPutBackBehindTheFileIsStillFoundToBeBehindTheState) {
  ASSERT_TRUE(vault_.create());
  work(4, 30);
  ASSERT_TRUE(vault_.server().tick());
  vault_.close();
  const std::string log = vault_.options().dir + "/log", older = vault_.dir() + "/older";
  fs::copy(log, older, fs::copy_options::recursive);
  ASSERT_TRUE(vault_.open());
  work(5, 40);
  ASSERT_TRUE(settle(vault_));
  ASSERT_NE(vault_.server().counters().leaf(), 0u);
  vault_.close();
  fs::remove_all(log);
  fs::copy(older, log, fs::copy_options::recursive);
  const auto opened = vault_.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kDataLoss);
}

// Bytes of an entry that a start by the file does not read.
class TamperedTest : public CountersTest, public testing::WithParamInterface<bool> {
 protected:
  void flip(uint64_t leaf, bool fitting_check) {
    const std::string path = vault_.options().dir + "/log/" + tlog::segment_name(0);
    std::string bytes;
    {
      std::ifstream in(path, std::ios::binary);
      bytes.assign(std::istreambuf_iterator<char>(in), {});
    }
    size_t at = tlog::kSegmentHeaderSize;
    tlog::Frame frame;
    for (;; at += frame.size) {
      ASSERT_EQ(tlog::parse_frame(as_bytes(bytes).subspan(at), &frame), tlog::FrameState::kWhole);
      if (frame.leaf == leaf) break;
    }
    std::string edited = bytes.substr(at, frame.size);
    edited[tlog::kFrameBodyAt + 3] = static_cast<char>(edited[tlog::kFrameBodyAt + 3] ^ 1);
    if (fitting_check) {
      edited.resize(edited.size() - tlog::kCheckSize);
      tlog::finish_frame(edited, 0);
    }
    bytes.replace(at, edited.size(), edited);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }
};

TEST_P(TamperedTest, WhatTheStartDidNotReadIsFoundSoonAndAtTheNextStartAtOnce) {
  rely_on_a_file();
  vault_.close();
  flip(3, GetParam());
  ASSERT_TRUE(vault_.open());
  const auto settled = settle(vault_);
  ASSERT_FALSE(settled);
  EXPECT_EQ(settled.error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(settled.error().number, 3);
  EXPECT_TRUE(vault_.server().failed());
  EXPECT_TRUE(vault_.call(tokens_call(vault_.ticket(), {}, {fresh(16)})).has_error());
  EXPECT_TRUE(files_in(counters_dir(vault_)).empty());
  const auto opened = vault_.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(opened.error().number, 3);
}

TEST_P(TamperedTest, WhatIsBehindTheFileIsFoundAtTheStart) {
  rely_on_a_file();
  const uint64_t leaf = vault_.server().counters().leaf() + 1;
  ASSERT_TRUE(vault_.server().tick());
  vault_.close();
  flip(leaf, GetParam());
  const auto opened = vault_.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().number, static_cast<int64_t>(leaf));
}

INSTANTIATE_TEST_SUITE_P(WithAFittingCheck, TamperedTest, testing::Bool());

TEST_F(CountersTest, ATileThatDiffersIsWrittenAgain) {
  ASSERT_TRUE(vault_.create());
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(vault_.call(tokens_call(vault_.ticket(), {}, {fresh(16)})).has_tokens());
  }
  ASSERT_TRUE(settle(vault_));
  ASSERT_TRUE(vault_.open());
  ASSERT_GT(vault_.server().counters().leaf(), 256u);
  const std::string tile = vault_.options().dir + "/log/tile/0/000";
  fs::resize_file(tile, 100);
  ASSERT_TRUE(settle(vault_));
  EXPECT_EQ(fs::file_size(tile), 8192u);
}

// A disk that stops at its nth operation, while files are written down and logged.
TEST(CountersCrashTest, ACrashAtAnyPointLeavesAVaultThatOpensAndCountsTheSame) {
  uint64_t crashes = 0;
  for (uint64_t stop = 1;; ++stop) {
    env::FaultyFiles files(env::real_files());
    TestVault vault(files);
    vault.options().counters_every = kEvery;
    ASSERT_TRUE(vault.create());
    const auto granted = vault.call(grant_call(vault.import_ticket(), 100)).grant();
    uint64_t opened = 0;
    const auto get = [&] {
      const auto reply = vault.call(
          release_call(vault.ticket(), {}, {{granted.first() + opened, granted.u()}}, 2, true));
      if (reply.has_release()) ++opened;
    };
    for (int i = 0; i < 14; ++i) get();
    files.stop_at(stop);
    (void)settle(vault);
    get();
    (void)settle(vault);
    const bool stopped = files.operations() >= stop;
    ASSERT_TRUE(files.crash(stop % 3 * 7));
    const auto again = vault.open();
    ASSERT_TRUE(again) << again.error().text << " stop " << stop;
    const auto me = vault.server().me("clerk", {});
    ASSERT_TRUE(me);
    uint64_t used = 0;
    for (const auto& line : me->budgets()) {
      if (line.purpose() == "service" && line.quantity() == "records" && line.window() == "day") {
        used = line.used();
      }
    }
    EXPECT_GE(used, opened) << "stop " << stop;
    EXPECT_LE(used, opened + 1) << "a crash may count one that never left";
    ASSERT_TRUE(settle(vault));
    vault.close();
    expect_every_file_fits_the_log(vault, files);
    if (!stopped) break;
    ++crashes;
    ASSERT_LT(stop, 1000u);
  }
  EXPECT_GT(crashes, 8u);
}

// --- The format ---

// Contents that use every sort of member, the same on every run.
void golden(tlog::LogPoint& point, Ledger& ledger) {
  const auto fold = [&](tlog::EntryType type, std::vector<v1::LogItem> items) {
    const uint64_t leaf = point.leaf(), t_ms = 1'700'000'000'000 + leaf * 1000;
    const auto applied = ledger.apply(type, leaf, t_ms, items);
    SR_CHECK(applied.has_value(), "an entry of the golden log");
    tlog::EntryHead head;
    head.type = static_cast<uint8_t>(type);
    head.t_ms = t_ms;
    head.n = static_cast<uint32_t>(items.size());
    const auto entry = tlog::encode_entry(head);
    point.state.add(entry, tlog::leaf_hash(entry), t_ms, {0, 32 + leaf * 100});
    point.at = {0, 32 + point.leaf() * 100};
  };
  const auto ticket = [](const char* principal, const char* purpose, uint64_t charge) {
    v1::LogItem item;
    item.mutable_ticket()->set_ticket_hash(std::string(16, 'h'));
    item.mutable_ticket()->set_principal(principal);
    item.mutable_ticket()->set_purpose(purpose);
    item.mutable_ticket()->set_collection(kPerson);
    item.mutable_ticket()->set_charge(charge);
    item.mutable_ticket()->set_gateway(kGateway);
    return item;
  };
  std::vector<v1::LogItem> items(3);
  *items[0].mutable_collection() = test_collection(kPerson, "person");
  *items[1].mutable_policy() = test_policy();
  *items[1].mutable_policy()->mutable_roles(1)->mutable_grants() = {};  // Names "parcel".
  items[2].mutable_principal()->set_name("clerk");
  items[2].mutable_principal()->set_role("clerk");
  items[2].mutable_principal()->set_public_key(std::string(32, 'k'));
  fold(tlog::EntryType::kPolicy, items);
  items = {ticket("operator", "import", 2), {}};
  items[1].mutable_grant()->set_collection(kPerson);
  items[1].mutable_grant()->set_count(2);
  items[1].mutable_grant()->set_u(1);
  items[1].mutable_grant()->set_new_block(true);
  fold(tlog::EntryType::kGrant, items);
  items = {ticket("clerk", "service", 1), {}};
  items[1].mutable_token()->set_h_w(std::string(16, 't'));
  fold(tlog::EntryType::kToken, items);
  items = {ticket("clerk", "service", 1), {}};
  items[1].mutable_release()->set_idx(1);
  items[1].mutable_release()->set_u(1);
  items[1].mutable_release()->set_groups(2);
  fold(tlog::EntryType::kRelease, items);
  items = {ticket("operator", "service", 1), {}};
  items[1].mutable_erasure()->set_collection(kPerson);
  fold(tlog::EntryType::kErasure, items);
  items.assign(1, {});
  items[0].mutable_freeze()->set_scope("role:clerk");
  items[0].mutable_freeze()->set_reason("a reason");
  items[0].set_author("officer");
  fold(tlog::EntryType::kFreeze, items);
}

constexpr uint64_t kGoldenLeaf = 6;
constexpr char kGoldenPath[] = STRONGROOM_SOURCE_DIR "/test/golden/counters_v1.hex";

BodyKeyCopies golden_keys() {
  ByteArray<32> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  BodyKeyCopies keys;
  keys.add(tlog::month_of(1'700'000'000'000), SealingKey(bytes));
  return keys;
}

TEST(CountersFileTest, TheGoldenFileIsRead) {
  TempDir dir;
  auto keys = golden_keys();
  const std::string path = dir.path() + "/" + counters_name(kGoldenLeaf);
  Ledger made({}, {kGateway});
  tlog::LogPoint made_point;
  golden(made_point, made);
  if (const char* write = getenv("STRONGROOM_WRITE_GOLDEN"); write != nullptr && *write == '1') {
    ASSERT_TRUE(write_counters(env::real_files(), path, keys, made_point, made));
    const auto bytes = env::real_files().read(path, 1 << 20);
    std::ofstream(kGoldenPath) << to_hex(as_bytes(*bytes)) << "\n";
  }
  std::string hex;
  std::ifstream(kGoldenPath) >> hex;
  ASSERT_GT(hex.size(), 2 * kCountersHeaderSize) << kGoldenPath;
  std::string bytes(hex.size() / 2, '\0');
  ASSERT_TRUE(from_hex(hex, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}));
  std::ofstream(path, std::ios::binary) << bytes;
  Ledger ledger({}, {kGateway});
  tlog::LogPoint point;
  const auto read = read_counters(env::real_files(), path, keys, kGoldenLeaf, point, ledger);
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(point.leaf(), kGoldenLeaf);
  EXPECT_EQ(point.at.offset, made_point.at.offset);
  made.tickets().set_request_keys(ledger.tickets().request_keys());
  EXPECT_EQ(to_hex(read->contents), to_hex(contents_of(made_point, made)))
      << "what is remembered has changed: a new kLedgerForm";
  EXPECT_EQ(ledger.releases().of(RecordIndex{1}).count, 1u);
  EXPECT_TRUE(ledger.erasures().contains(RecordIndex{0}));
  EXPECT_EQ(ledger.next_u(), 2u);
  EXPECT_NE(ledger.engine().freezes().find({policy::Scope::Kind::kRole, "clerk"}), nullptr);
}

TEST(CountersFileTest, NamesAreReadAsWritten) {
  EXPECT_EQ(counters_name(0x1234), "counters-0000000000001234");
  EXPECT_EQ(parse_counters_name("counters-0000000000001234"), 0x1234u);
  for (const char* name : {"counters-1234", "counters-000000000000123g", "counter-", "",
                           "counters-00000000000012345", "counters-00000000000012AB"}) {
    EXPECT_FALSE(parse_counters_name(name)) << name;
  }
}

}  // namespace
}  // namespace strongroom::keyserver
