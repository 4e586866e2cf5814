// Redacted<T>: an opened field on its way to the one it was released to. Prints only its length.
#pragma once

#include <ostream>
#include <utility>

#include "strongroom/base/secret.h"

namespace strongroom {

template <class T>
class Redacted {
 public:
  Redacted() = default;
  explicit Redacted(T value) : value_(std::move(value)) {}
  const T& read(SecretAccess) const { return value_; }
  T take(SecretAccess) { return std::move(value_); }
  size_t size() const { return value_.size(); }

 private:
  T value_;
};

template <class T>
std::ostream& operator<<(std::ostream& out, const Redacted<T>& value) {
  return out << "<" << value.size() << " bytes>";
}

}  // namespace strongroom
