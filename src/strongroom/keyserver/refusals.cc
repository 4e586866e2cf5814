#include "strongroom/keyserver/refusals.h"

namespace strongroom::keyserver {
namespace {

bool is_the_callers(ErrorCode reason) {
  switch (reason) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kLogUnavailable:
    case ErrorCode::kDataLoss:
    case ErrorCode::kNoSpace:
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kInternal:
      return false;
    default:
      return true;
  }
}

}  // namespace

void Refusals::note(std::string_view principal, ErrorCode reason, uint64_t t_ms) {
  if (!is_the_callers(reason)) return;
  if (counted_.empty()) since_ms_ = t_ms;
  std::pair key{std::string(principal), reason};
  // There are as many principals as somebody registered: the rest is counted together.
  if (counted_.size() >= kRefusalItemsMax && !counted_.contains(key)) key.first.clear();
  Counted& counted = counted_[key];
  if (counted.count++ == 0) counted.first_ms = t_ms;
  counted.last_ms = t_ms;
}

bool Refusals::due(uint64_t t_ms) const {
  return !counted_.empty() && t_ms - since_ms_ >= kRefusalsLoggedMs;
}

std::vector<v1::LogItem> Refusals::take() {
  std::vector<v1::LogItem> items;
  for (const auto& [key, counted] : counted_) {
    v1::RefusalItem& item = *items.emplace_back().mutable_refusal();
    item.set_principal(key.first);
    item.set_reason(error_code_name(key.second));
    item.set_count(counted.count);
    item.set_first_ms(counted.first_ms);
    item.set_last_ms(counted.last_ms);
  }
  counted_.clear();
  return items;
}

}  // namespace strongroom::keyserver
