// Writing down what a class remembers, and reading it back: one list of members serves both.
//
//   template <class A> void archive(A& a) { a(count_, names_); }     in each class that takes part
//
// Integers are LEB128 (signed ones zigzag), byte arrays as they are, everything of unknown length
// behind its length, messages serialized. Maps without an order are written by key: the same
// contents give the same bytes. Reading trusts nothing: what is cut short or cannot be makes ok()
// false, and no memory is taken for elements that are not there.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"

namespace strongroom {

namespace archive_detail {

template <class T>
concept Number = std::is_integral_v<T> || std::is_enum_v<T>;
template <class T>
concept Id = requires(T t) {  // base/ids.h
  requires std::is_integral_v<std::remove_reference_t<decltype(t.value)>>;
};
template <class T>
concept Message = requires(T t, const std::string& bytes) {
  { t.ParseFromString(bytes) } -> std::same_as<bool>;
  { t.SerializeAsString() } -> std::same_as<std::string>;
};

template <class T>
constexpr uint64_t to_wire(T value) {
  if constexpr (std::is_enum_v<T>) {
    return to_wire(static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_signed_v<T>) {
    const auto v = static_cast<int64_t>(value);
    return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
  } else {
    return static_cast<uint64_t>(value);
  }
}

// False: more than T holds.
template <class T>
constexpr bool from_wire(uint64_t wire, T& value) {
  if constexpr (std::is_enum_v<T>) {
    std::underlying_type_t<T> number{};
    const bool fits = from_wire(wire, number);
    value = static_cast<T>(number);
    return fits;
  } else if constexpr (std::is_signed_v<T>) {
    const auto v = static_cast<int64_t>((wire >> 1) ^ (~(wire & 1) + 1));
    value = static_cast<T>(v);
    return static_cast<int64_t>(value) == v;
  } else {
    value = static_cast<T>(wire);
    return static_cast<uint64_t>(value) == wire;
  }
}

}  // namespace archive_detail

// Not thread-safe.
class ArchiveWriter {
 public:
  static constexpr bool kReading = false;
  // Takes the bytes, in parts of about kPart.
  using Sink = std::function<Result<void>(Bytes part)>;
  static constexpr size_t kPart = size_t{1} << 20;

  explicit ArchiveWriter(Sink sink) : sink_(std::move(sink)) {}
  template <class... T>
  void operator()(T&... items) {
    (put(items), ...);
  }
  // Hands over what is left; the first error of the sink.
  Result<void> finish() {
    flush();
    return result_;
  }

 private:
  void flush() {
    if (result_ && !out_.empty()) result_ = sink_(as_bytes(out_));
    out_.clear();
  }
  void raw(Bytes bytes) {
    append(out_, bytes);
    if (out_.size() >= kPart) flush();
  }
  void number(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(value | 0x80));
    out_.push_back(static_cast<char>(value));
    if (out_.size() >= kPart) flush();
  }
  void put(std::string& text) {
    number(text.size());
    raw(as_bytes(text));
  }
  template <archive_detail::Number T>
  void put(T& value) {
    number(archive_detail::to_wire(value));
  }
  template <archive_detail::Id T>
  void put(T& id) {
    put(id.value);
  }
  template <size_t N>
  void put(std::array<uint8_t, N>& bytes) {
    raw(bytes);
  }
  template <class T, size_t N>
  void put(std::array<T, N>& items) {
    for (T& item : items) put(item);
  }
  template <class T>
  void put(std::vector<T>& items) {
    number(items.size());
    for (T& item : items) put(item);
  }
  template <class T>
  void put(std::deque<T>& items) {
    number(items.size());
    for (T& item : items) put(item);
  }
  template <class A, class B>
  void put(std::pair<A, B>& both) {
    put(const_cast<std::remove_const_t<A>&>(both.first));  // A map's key, which is only read.
    put(both.second);
  }
  template <class T>
  void put(std::optional<T>& item) {
    number(item ? 1 : 0);
    if (item) put(*item);
  }
  template <class T>
  void put(std::unique_ptr<T>& item) {
    number(item ? 1 : 0);
    if (item) put(*item);
  }
  template <class T>
  void put(std::set<T>& items) {
    number(items.size());
    for (const T& item : items) put(const_cast<T&>(item));  // Which is only read.
  }
  template <class K, class V, class C>
  void put(std::map<K, V, C>& items) {
    number(items.size());
    for (auto& item : items) put(item);
  }
  template <class K, class V, class H, class E>
  void put(std::unordered_map<K, V, H, E>& items) {
    std::vector<std::pair<const K, V>*> sorted;
    sorted.reserve(items.size());
    for (auto& item : items) sorted.push_back(&item);
    std::sort(sorted.begin(), sorted.end(),
              [](const auto* a, const auto* b) { return a->first < b->first; });
    number(sorted.size());
    for (auto* item : sorted) put(*item);
  }
  template <archive_detail::Message T>
  void put(T& message) {
    std::string bytes = message.SerializeAsString();
    put(bytes);
  }
  template <class T>
  requires requires(T t, ArchiveWriter& a) { t.archive(a); }
  void put(T& item) { item.archive(*this); }

  Sink sink_;
  std::string out_;
  Result<void> result_;
};

// Not thread-safe.
class ArchiveReader {
 public:
  static constexpr bool kReading = true;
  // The next part; empty: there are no more.
  using Source = std::function<Result<std::string>()>;

  explicit ArchiveReader(Source source) : source_(std::move(source)) {}
  template <class... T>
  void operator()(T&... items) {
    (get(items), ...);
  }
  bool ok() const { return ok_; }
  // What was read fits no class: for an archive() that finds so.
  void fail() { ok_ = false; }
  // All of it was read, and nothing is left. kDataLoss, or the source's error.
  Result<void> finish() {
    ok_ = ok_ && at_ == part_.size() && !more();
    if (!error_) return error_;
    if (ok_) return {};
    return make_error(ErrorCode::kDataLoss, "What was written down is damaged or cut short.");
  }

 private:
  bool more() {
    if (!error_ || ended_) return false;
    auto next = source_();
    if (!next) {
      error_ = next.error();
      return false;
    }
    ended_ = next->empty();
    part_ = std::move(*next);
    at_ = 0;
    return !ended_;
  }
  bool raw(MutableBytes out) {
    while (ok_ && !out.empty()) {
      if (at_ == part_.size() && !more()) ok_ = false;
      const size_t size = std::min(out.size(), part_.size() - at_);
      std::copy_n(as_bytes(part_).begin() + static_cast<ptrdiff_t>(at_), size, out.begin());
      at_ += size;
      out = out.subspan(size);
    }
    return ok_;
  }
  uint64_t number() {
    uint64_t value = 0;
    for (int shift = 0; ok_; shift += 7) {
      if (at_ == part_.size() && !more()) ok_ = false;
      if (!ok_) return 0;
      const auto byte = static_cast<uint8_t>(part_[at_++]);
      const uint64_t bits = byte & 0x7f;
      if (shift == 63 && bits > 1) ok_ = false;
      value |= bits << shift;
      if (byte < 0x80) return value;
      if (shift == 63) ok_ = false;
    }
    return 0;
  }
  void get(std::string& text) {
    uint64_t left = number();
    text.clear();
    while (ok_ && left != 0) {  // As it comes: a length alone takes no memory.
      if (at_ == part_.size() && !more()) ok_ = false;
      const size_t size = std::min<uint64_t>(left, part_.size() - at_);
      text.append(part_, at_, size);
      at_ += size;
      left -= size;
    }
  }
  template <archive_detail::Number T>
  void get(T& value) {
    if (!archive_detail::from_wire(number(), value)) ok_ = false;
  }
  template <archive_detail::Id T>
  void get(T& id) {
    get(id.value);
  }
  template <size_t N>
  void get(std::array<uint8_t, N>& bytes) {
    raw(bytes);
  }
  template <class T, size_t N>
  void get(std::array<T, N>& items) {
    for (T& item : items) get(item);
  }
  template <class T>
  void get(std::vector<T>& items) {
    items.clear();
    for (uint64_t left = number(); ok_ && left != 0; --left) get(items.emplace_back());
  }
  template <class T>
  void get(std::deque<T>& items) {
    items.clear();
    for (uint64_t left = number(); ok_ && left != 0; --left) get(items.emplace_back());
  }
  template <class A, class B>
  void get(std::pair<A, B>& both) {
    get(both.first);
    get(both.second);
  }
  template <class T>
  void get(std::optional<T>& item) {
    item.reset();
    if (number() != 0 && ok_) get(item.emplace());
  }
  template <class T>
  void get(std::unique_ptr<T>& item) {
    item.reset();
    if (number() == 0 || !ok_) return;
    item = std::make_unique<T>();
    get(*item);
  }
  template <class T>
  void get(std::set<T>& items) {
    items.clear();
    for (uint64_t left = number(); ok_ && left != 0; --left) {
      T item{};
      get(item);
      if (!items.insert(std::move(item)).second) ok_ = false;
    }
  }
  template <class Map>
  void get_map(Map& items) {
    items.clear();
    for (uint64_t left = number(); ok_ && left != 0; --left) {
      typename Map::key_type key{};
      get(key);
      if (!ok_) return;
      const auto [at, added] = items.try_emplace(std::move(key));
      if (!added) ok_ = false;
      get(at->second);
    }
  }
  template <class K, class V, class C>
  void get(std::map<K, V, C>& items) {
    get_map(items);
  }
  template <class K, class V, class H, class E>
  void get(std::unordered_map<K, V, H, E>& items) {
    get_map(items);
  }
  template <archive_detail::Message T>
  void get(T& message) {
    std::string bytes;
    get(bytes);
    if (ok_ && !message.ParseFromString(bytes)) ok_ = false;
  }
  template <class T>
  requires requires(T t, ArchiveReader& a) { t.archive(a); }
  void get(T& item) { item.archive(*this); }

  Source source_;
  std::string part_;
  size_t at_ = 0;
  bool ended_ = false;
  bool ok_ = true;
  Result<void> error_;
};

}  // namespace strongroom
