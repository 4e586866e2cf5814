#include "strongroom/gateway/store_guard.h"

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
}

}  // namespace
}  // namespace strongroom::gateway
