// What was used of each quantity in the last hour, day and 30 days, against limits that hold all at
// once.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "strongroom/policy/budget.h"
#include "strongroom/v1/policy.pb.h"

namespace strongroom::policy {

enum class Quantity : uint8_t {
  kRecords,
  kSearches,
  kWrites,
  kUniques,
  kErasures,
  kReindexed,
  kExported
};
inline constexpr size_t kQuantities = 7;
enum class Window : uint8_t { kHour, kDay, kMonth };
inline constexpr size_t kWindows = 3;
// Whose use is counted together.
enum class BudgetScope : uint8_t { kPurpose, kPrincipal, kGateway, kCollection, kVault };
inline constexpr size_t kBudgetScopes = 5;

const char* quantity_name(Quantity quantity);  // "records"
const char* window_name(Window window);        // "hour"
const char* scope_name(BudgetScope scope);     // "purpose"

struct Amounts {
  uint64_t records = 0;   // Distinct records opened that are paid for.
  uint64_t searches = 0;  // Token requests.
  uint64_t writes = 0;    // Records imported or changed.
  uint64_t uniques = 0;   // Unique tokens: an own meter, under the limit of writes.
  uint64_t erasures = 0;
  uint64_t reindexed = 0;  // Records opened for an index that was added.
  uint64_t exported = 0;   // Records opened by an export.
  uint64_t repeats = 0;    // Distinct records opened again, which cost no budget.

  uint64_t of(Quantity quantity) const {
    return std::array{
        records, searches, writes, uniques, erasures, reindexed, exported}[static_cast<size_t>(
        quantity)];
  }
};

inline constexpr uint64_t kNoLimit = UINT64_MAX;
// For each quantity and window.
struct MeterLimits {
  std::array<std::array<uint64_t, kWindows>, kQuantities> most{};
  uint64_t of(Quantity quantity, Window window) const {
    return most[static_cast<size_t>(quantity)][static_cast<size_t>(window)];
  }
};
// A grant's budget: what is absent is nothing, but that a month may be 30 days and an hour a day.
MeterLimits limits_of(const v1::Budget& budget);
// What is absent is not limited.
MeterLimits limits_of(const v1::Limit& limit);

// Not thread-safe.
class Meters {
 public:
  // Whether all of it fits, in every window. Changes nothing that later answers depend on.
  //   kBudgetExhausted  The text says which budget; of several the one that reopens last. `number`
  //                     is its limit; retry_after_ms -1: it is less than what was asked.
  Result<void> check(const MeterLimits& limits, const Amounts& amounts, BudgetScope scope,
                     uint64_t t_ms);
  void charge(const Amounts& amounts, uint64_t t_ms);
  uint64_t used(Quantity quantity, Window window, uint64_t t_ms);

  template <class A>
  void archive(A& a) {
    a(meters_);
    if constexpr (A::kReading) {
      for (size_t q = 0; q < kQuantities; ++q) keep(q);
    }
  }

 private:
  struct Meter {
    HourWindow hour;
    DayWindow day;
    MonthWindow month;
    template <class A>
    void archive(A& a) {
      a(hour, day, month);
    }
  };
  void keep(size_t quantity);

  // Of each meter, what its windows keep. Mostly that fits, and then nothing else need be fetched
  // from memory, which is what a decision would wait for.
  std::array<std::array<uint64_t, kWindows>, kQuantities> kept_{};
  // Most are never used: a clerk writes nothing.
  std::array<std::unique_ptr<Meter>, kQuantities> meters_;
};

// The later of two refusals to reopen; `most` is kept if it is an error that reopens no earlier.
void keep_later(Result<void>& most, const Result<void>& other);

}  // namespace strongroom::policy
