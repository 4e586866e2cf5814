// Result<T>: a value or an Error, with std::expected's member names.
//
// An Error carries a code, a static text and at most numbers. It never carries run-time strings:
// free text is where personal data leaks. What a program must tell apart is the code; what a person
// reads is the text.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>

#include "strongroom/base/check.h"

namespace strongroom {

enum class ErrorCode : uint8_t {
  kInvalidArgument,     // The request can never succeed as it stands. Correct it.
  kUnauthenticated,     // No credential, a wrong one, or one that has expired.
  kPermissionDenied,    // A rule of the policy refuses this. Ask whoever keeps the policy.
  kSearchDenied,        // The policy refuses a search by this field; `number` is the field's id.
  kBudgetExhausted,     // Metered out; retry_after_ms says when the window reopens.
  kReplayed,            // This request was already answered. Make a new one.
  kTooBroad,            // More candidates than may be scanned; `number` says how many. Add a term.
  kNotFound,            // Erased or never existed: indistinguishable on purpose.
  kAlreadyExists,       //
  kConflict,            // Someone else changed it first. Read again and retry.
  kFailedPrecondition,  // The system is not in the state this needs; the text says what to do.
  kUnavailable,         // Not now: starting, stopping, or the peer is away. Retry.
  kLogUnavailable,      // The log cannot be written, so nothing leaves. The charge may stand.
  kDataLoss,  // Stored bytes are missing, damaged or forged. Nothing read from them was used.
  kNoSpace,   // The disk is full. What was acknowledged is safe.
  kDeadlineExceeded,  //
  kInternal,          // A bug of ours.
};

// "invalid_argument" and so on. Static.
const char* error_code_name(ErrorCode code) noexcept;

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kInternal;
  const char* text = "";        // Static storage. What happened, and what to do.
  int64_t number = -1;          // A line, a count, a size: the text says which. -1: none.
  int64_t retry_after_ms = -1;  // kBudgetExhausted, kUnavailable. -1: unknown.
};

inline Error make_error(ErrorCode code, const char* text, int64_t number = -1) {
  return Error{code, text, number, -1};
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, error) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & {
    SR_CHECK(has_value(), "value() of an error");
    return std::get<0>(state_);
  }
  const T& value() const& {
    SR_CHECK(has_value(), "value() of an error");
    return std::get<0>(state_);
  }
  T&& value() && {
    SR_CHECK(has_value(), "value() of an error");
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    SR_CHECK(!has_value(), "error() of a value");
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(error) {}

  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  const Error& error() const {
    SR_CHECK(error_.has_value(), "error() of a value");
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace strongroom

#define SR_CONCAT_INNER(a, b) a##b
#define SR_CONCAT(a, b) SR_CONCAT_INNER(a, b)

// Returns the error of a Result<void> (or any Result) to the caller.
#define SR_TRY(expression)                                      \
  do {                                                          \
    if (auto sr_result = (expression); !sr_result) [[unlikely]] \
      return sr_result.error();                                 \
  } while (0)

// SR_ASSIGN(auto x, f()): declares or assigns x, or returns f's error.
#define SR_ASSIGN(declaration, expression) \
  SR_ASSIGN_INNER(SR_CONCAT(sr_result_, __LINE__), declaration, expression)
#define SR_ASSIGN_INNER(name, declaration, expression) \
  auto name = (expression);                            \
  if (!name) [[unlikely]]                              \
    return name.error();                               \
  declaration = std::move(name).value()
