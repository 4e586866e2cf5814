#include "strongroom/policy/meters.h"

#include <string>

namespace strongroom::policy {
namespace {

constexpr std::array kAllQuantities{Quantity::kRecords, Quantity::kSearches, Quantity::kWrites,
                                    Quantity::kUniques, Quantity::kErasures, Quantity::kReindexed,
                                    Quantity::kExported};
constexpr std::array kAllWindows{Window::kHour, Window::kDay, Window::kMonth};
constexpr uint64_t kDaysOfMonth = 30;

// An Error's text is static: all of these are made once.
const char* refusal(BudgetScope scope, Quantity quantity, Window window, bool more_than_all) {
  static const auto* const kTexts = [] {
    constexpr const char* kOf[kBudgetScopes] = {
        "for this purpose", "of yours, all purposes together,", "of this gateway",
        "of this collection", "of the whole vault"};
    constexpr const char* kWhat[kQuantities] = {"records",         "searches", "writes",
                                                "unique tokens",   "erasures", "reindexed records",
                                                "exported records"};
    constexpr const char* kWhen[kWindows] = {"an hour", "a day", "30 days"};
    auto* texts = new std::array<std::string, kBudgetScopes * kQuantities * kWindows * 2>();
    size_t at = 0;
    for (const char* of : kOf) {
      for (const char* what : kWhat) {
        for (const char* when : kWhen) {
          const std::string budget = std::string("budget of ") + what + " in " + when + " " + of;
          (*texts)[at++] = "The " + budget +
                           " is used up (the number is the most). It reopens by itself; or have it "
                           "raised.";
          (*texts)[at++] = "This asks for more than the whole " + budget +
                           " (the number). Ask for less, or have it raised.";
        }
      }
    }
    return texts;
  }();
  const size_t at =
      (static_cast<size_t>(scope) * kQuantities + static_cast<size_t>(quantity)) * kWindows +
      static_cast<size_t>(window);
  return (*kTexts)[at * 2 + (more_than_all ? 1 : 0)].c_str();
}

template <class M, class F>
auto visit(M& meter, Window window, F&& f) {
  switch (window) {
    case Window::kHour:
      return f(meter.hour);
    case Window::kDay:
      return f(meter.day);
    default:
      return f(meter.month);
  }
}

std::array<uint64_t, kWindows> windows_of(const v1::Windows& windows) {
  return {windows.has_hour() ? windows.hour() : kNoLimit,
          windows.has_day() ? windows.day() : kNoLimit,
          windows.has_month() ? windows.month() : kNoLimit};
}

std::array<uint64_t, kWindows> budget_of(uint64_t hour, uint64_t day, uint64_t month) {
  return {hour, day, month != 0 ? month : day * kDaysOfMonth};
}

}  // namespace

const char* quantity_name(Quantity quantity) {
  constexpr const char* kNames[kQuantities] = {"records",  "searches",  "writes",  "unique_tokens",
                                               "erasures", "reindexed", "exported"};
  return kNames[static_cast<size_t>(quantity)];
}
const char* window_name(Window window) {
  constexpr const char* kNames[kWindows] = {"hour", "day", "month"};
  return kNames[static_cast<size_t>(window)];
}
const char* scope_name(BudgetScope scope) {
  constexpr const char* kNames[kBudgetScopes] = {"purpose", "principal", "gateway", "collection",
                                                 "vault"};
  return kNames[static_cast<size_t>(scope)];
}

MeterLimits limits_of(const v1::Budget& b) {
  const auto records = budget_of(b.records_per_hour(), b.records_per_day(), b.records_per_month());
  const auto searches =
      budget_of(b.searches_per_hour(), b.searches_per_day(), b.searches_per_month());
  const auto writes = budget_of(b.writes_per_hour() != 0 ? b.writes_per_hour() : b.writes_per_day(),
                                b.writes_per_day(), b.writes_per_month());
  const auto erasures =
      budget_of(b.erasures_per_hour() != 0 ? b.erasures_per_hour() : b.erasures_per_day(),
                b.erasures_per_day(), b.erasures_per_month());
  const auto reindexed =
      budget_of(b.reindexed_per_hour() != 0 ? b.reindexed_per_hour() : b.reindexed_per_day(),
                b.reindexed_per_day(), 0);
  const auto exported =
      budget_of(b.exported_per_hour() != 0 ? b.exported_per_hour() : b.exported_per_day(),
                b.exported_per_day(), 0);
  return {{records, searches, writes, writes, erasures, reindexed, exported}};
}

MeterLimits limits_of(const v1::Limit& limit) {
  const auto writes = windows_of(limit.writes());
  return {{windows_of(limit.records()),
           windows_of(limit.searches()),
           writes,
           writes,
           windows_of(limit.erasures()),
           {kNoLimit, kNoLimit, kNoLimit}}};
}

void keep_later(Result<void>& most, const Result<void>& other) {
  if (other.has_value()) return;
  // -1, never, is the latest of all.
  const auto rank = [](const Error& e) { return static_cast<uint64_t>(e.retry_after_ms); };
  if (most.has_value() || rank(other.error()) > rank(most.error())) most = other;
}

Result<void> Meters::check(const MeterLimits& limits, const Amounts& amounts, BudgetScope scope,
                           uint64_t t_ms) {
  Result<void> worst;
  for (const Quantity quantity : kAllQuantities) {
    const uint64_t amount = amounts.of(quantity);
    if (amount == 0) continue;
    const auto q = static_cast<size_t>(quantity);
    for (const Window window : kAllWindows) {
      const uint64_t most = limits.of(quantity, window);
      if (most == kNoLimit) continue;
      if (amount <= most && kept_[q][static_cast<size_t>(window)] <= most - amount) continue;
      const auto& meter = meters_[q];
      Result<void> fits;
      if (meter != nullptr) {
        fits = visit(*meter, window, [&](auto& w) { return w.check(most, amount, t_ms); });
        keep(q);
      } else {
        fits = make_error(ErrorCode::kBudgetExhausted, "");  // Nothing used: more than all of it.
      }
      if (fits) continue;
      Error error = fits.error();
      error.text = refusal(scope, quantity, window, amount > most);
      error.number = static_cast<int64_t>(most);
      keep_later(worst, error);
    }
  }
  return worst;
}

void Meters::charge(const Amounts& amounts, uint64_t t_ms) {
  for (const Quantity quantity : kAllQuantities) {
    const uint64_t amount = amounts.of(quantity);
    if (amount == 0) continue;
    auto& meter = meters_[static_cast<size_t>(quantity)];
    if (meter == nullptr) meter = std::make_unique<Meter>();
    meter->hour.charge(amount, t_ms);
    meter->day.charge(amount, t_ms);
    meter->month.charge(amount, t_ms);
    keep(static_cast<size_t>(quantity));
  }
}

void Meters::keep(size_t quantity) {
  const auto& meter = meters_[quantity];
  if (meter == nullptr) return;
  kept_[quantity] = {meter->hour.kept(), meter->day.kept(), meter->month.kept()};
}

uint64_t Meters::used(Quantity quantity, Window window, uint64_t t_ms) {
  const auto& meter = meters_[static_cast<size_t>(quantity)];
  if (meter == nullptr) return 0;
  return visit(*meter, window, [&](auto& w) { return w.used(t_ms); });
}

}  // namespace strongroom::policy
