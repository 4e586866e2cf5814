#include "strongroom/gateway/store_guard.h"

#include <stdlib.h>

#include <filesystem>

#include "strongroom/env/files.h"

#include "strongroom/gateway/import_testing.h"

namespace strongroom::gateway {
namespace {

class StoreGuardTest : public ImportTest {
 protected:
  StoreGuard guard(store::Store& store, bool accept_lost = false) {
    return {store, vault_.keys(), vault_.term_key(), accept_lost};
  }
  // From a thread that is not the loop's, as a gateway does it.
  void mark(StoreGuard& guard) {
    vault_.clock().advance_ms(1000);
    Result<void> done;
    std::thread worker([&] { done = guard.mark(); });
    worker.join();
    ASSERT_TRUE(done) << done.error().text;
  }
  v1::SyncReply log() {
    v1::Call call;
    call.mutable_sync();
    return vault_.vault().call(call).sync();
  }
  // Some rows in an open lane, and a packed lane.
  void fill() {
    import(people_file("a", 0, 5));
    import(people_file("b", 5, 40));
  }
};

TEST_F(StoreGuardTest, AStoreThatIsAsFarAsTheLogIsTaken) {
  auto first = guard(vault_.store());
  EXPECT_FALSE(first.checked());
  EXPECT_TRUE(first.check(log())) << "nothing is known yet";
  fill();
  mark(first);
  EXPECT_EQ(log().store_position(), vault_.store().position());
  EXPECT_GE(log().store_lanes_size(), 1);
  auto second = guard(vault_.store());
  EXPECT_TRUE(second.check(log()));
  const uint64_t size = vault_.vault().server().status("operator", {})->log_size();
  mark(second);
  mark(second);
  EXPECT_EQ(vault_.vault().server().status("operator", {})->log_size(), size + 1)
      << "where nothing was written there is no news";
}

TEST_F(StoreGuardTest, AStoreThatIsBehindIsRefusedUntilSomebodyAcceptsIt) {
  auto first = guard(vault_.store());
  ASSERT_TRUE(first.check(log()));
  fill();
  mark(first);
  const auto old = store::open_memory_store();
  auto refused = guard(*old);
  EXPECT_EQ(refused.check(log()).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(refused.check(log()).error().code, ErrorCode::kDataLoss) << "and again";
  EXPECT_FALSE(refused.checked());
  const uint64_t before = log().store_position();
  mark(refused);
  EXPECT_EQ(log().store_position(), before) << "and the log is told nothing";
  auto accepted = guard(*old, true);
  ASSERT_TRUE(accepted.check(log()));
  mark(accepted);
  EXPECT_EQ(log().store_position(), old->position());
  auto next = guard(*old);
  EXPECT_TRUE(next.check(log())) << "the next start needs no flag";
}

TEST_F(StoreGuardTest, ALaneThatIsGoneIsMissedThoughWritesCameSince) {
  auto first = guard(vault_.store());
  ASSERT_TRUE(first.check(log()));
  fill();
  mark(first);
  const auto marked = log();
  ASSERT_GE(marked.store_lanes_size(), 1);
  std::string from, to;
  append_be(from, marked.store_lanes(0), 3);
  append_be(to, marked.store_lanes(0) + 1, 3);
  ASSERT_TRUE(vault_.store().erase_range(store::Table::kPostings, from, to));
  EXPECT_GE(vault_.store().position(), marked.store_position());
  auto refused = guard(vault_.store());
  EXPECT_EQ(refused.check(marked).error().code, ErrorCode::kDataLoss);
}

// On RocksDB's files: its list of them is edited behind its back, as a thief or a bad disk would.
class StoreListTest : public StoreGuardTest {
 protected:
  StoreListTest() {
    EXPECT_NE(mkdtemp(root_.data()), nullptr);
    reopen();
  }
  ~StoreListTest() override { std::filesystem::remove_all(root_); }

  void reopen() {
    store_.reset();
    auto opened = store::open_rocks_store(root_, {});
    ASSERT_TRUE(opened) << opened.error().text;
    store_ = std::move(opened).value();
  }
  void write(int from, int to) {
    for (int i = from; i < to; ++i) {
      const store::Put put{store::Table::kRecords, std::to_string(i), std::string(300, 'x')};
      ASSERT_TRUE(store_->put({&put, 1}, store::Durability::kSynced));
    }
  }
  // Sorted files change the list.
  void ingest(char key) {
    auto run = store_->begin_run(store::Table::kRecords).value();
    ASSERT_TRUE(run->add(std::string(20, key), "value"));
    ASSERT_TRUE(store_->ingest(std::move(run)));
  }
  void marked(bool accept_lost = false) {
    auto now = guard(*store_, accept_lost);
    ASSERT_TRUE(now.check(log()));
    mark(now);
  }
  ErrorCode refusal() {
    auto now = guard(*store_);
    const auto checked = now.check(log());
    return checked ? ErrorCode{} : checked.error().code;
  }
  std::string list_path() { return store_->file_list()->path; }

  std::string root_ = testing::TempDir() + "sr-guard-XXXXXX";
  std::unique_ptr<store::Store> store_;
};

TEST_F(StoreListTest, AStartIsKnownByTheListItBeganWith) {
  write(0, 10);
  ingest('a');
  marked();
  for (int start = 0; start < 3; ++start) {
    reopen();
    ingest(static_cast<char>('b' + start));
    EXPECT_EQ(refusal(), ErrorCode{}) << start << ": what came behind it changes nothing";
    if (start == 1) continue;  // Ended before it could say anything.
    marked();
    EXPECT_TRUE(store_->opened_lists()->empty()) << "and the log has the new one";
  }
}

TEST_F(StoreListTest, StartsThatNeverCameToAWordAreNoLoss) {
  ingest('a');
  marked();
  for (int start = 0; start < 40; ++start) reopen();
  EXPECT_LE(store_->opened_lists()->size(), 32u);
  EXPECT_EQ(refusal(), ErrorCode{});
}

TEST_F(StoreListTest, AStoreThatIsAheadOfTheLogIsNoLoss) {
  ingest('a');
  marked();
  v1::SyncReply put_back = log();
  put_back.mutable_store_list()->set_number(put_back.store_list().number() - 1);
  reopen();
  auto now = guard(*store_);
  EXPECT_TRUE(now.check(put_back));
}

TEST_F(StoreListTest, AListWithoutItsEndIsRefusedUntilSomebodyAcceptsIt) {
  write(0, 10);
  ingest('a');
  const uint64_t before = store_->file_list()->size;
  ingest('b');
  marked();
  const std::string path = list_path();
  store_.reset();
  std::filesystem::resize_file(path, before);
  reopen();
  EXPECT_EQ(refusal(), ErrorCode::kDataLoss) << "RocksDB itself takes it for a crash";
  reopen();
  EXPECT_EQ(refusal(), ErrorCode::kDataLoss) << "and another start does not heal it";
  marked(true);
  reopen();
  EXPECT_EQ(refusal(), ErrorCode{});
}

TEST_F(StoreListTest, AnOlderListIsRefused) {
  ingest('a');
  const std::string path = list_path();
  const std::string old = env::real_files().read(path, 1 << 20).value();
  ingest('b');
  marked();
  store_.reset();
  ASSERT_TRUE(env::real_files().write_atomic(path, as_bytes(old)));
  reopen();
  EXPECT_EQ(refusal(), ErrorCode::kDataLoss);
}

TEST_F(StoreGuardTest, AnotherTermKeyIsRefused) {
  v1::SyncReply told = log();
  told.set_term_check(std::string(as_text(term_check(vault_.term_key()))));
  EXPECT_TRUE(guard(vault_.store()).check(told));
  told.set_term_check(std::string(as_text(term_check(crypto::random_secret<TermKey>()))));
  auto refused = guard(vault_.store());
  const auto checked = refused.check(told);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::kDataLoss);
  EXPECT_NE(std::string_view(checked.error().text).find("term.key"), std::string_view::npos);
}

TEST_F(StoreGuardTest, AMarkDoesNotGoBackByItself) {
  v1::Call call;
  call.mutable_mark_store()->set_position(1000);
  ASSERT_TRUE(vault_.vault().call(call).has_mark_store());
  call.mutable_mark_store()->set_position(1001);
  EXPECT_TRUE(vault_.vault().call(call).has_error()) << "not that often: it needs no ticket";
  vault_.clock().advance_ms(1000);
  call.mutable_mark_store()->set_position(999);
  EXPECT_TRUE(vault_.vault().call(call).has_error());
  EXPECT_EQ(log().store_position(), 1000u);
  ASSERT_TRUE(vault_.vault().open());
  EXPECT_EQ(log().store_position(), 1000u) << "the log has it";
  call.mutable_mark_store()->set_lost(true);
  EXPECT_TRUE(vault_.vault().call(call).has_mark_store());
  EXPECT_EQ(log().store_position(), 999u);
  vault_.clock().advance_ms(1000);
  call.mutable_mark_store()->set_lost(false);
  v1::StoreList& list = *call.mutable_mark_store()->mutable_list();
  list.set_number(7);
  list.set_size(100);
  list.set_sha256("short");
  EXPECT_TRUE(vault_.vault().call(call).has_error());
  list.set_sha256(std::string(32, 'h'));
  EXPECT_TRUE(vault_.vault().call(call).has_mark_store());
  for (const auto& [number, size] : {std::pair{7, 99}, {6, 200}, {0, 0}}) {
    vault_.clock().advance_ms(1000);
    list.set_number(static_cast<uint64_t>(number));
    list.set_size(static_cast<uint64_t>(size));
    EXPECT_TRUE(vault_.vault().call(call).has_error()) << number << ", " << size;
  }
  EXPECT_EQ(log().store_list().size(), 100u);
}

}  // namespace
}  // namespace strongroom::gateway
