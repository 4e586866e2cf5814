// Byte views, fixed byte arrays, endian loads and stores, and a bounds-checked reader and writer.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace strongroom {

using Bytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;
template <size_t N>
using ByteArray = std::array<uint8_t, N>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline void append(std::string& out, Bytes bytes) {
  out.append(as_text(bytes));
}

template <class T>
inline void store_be(uint8_t* out, T value, size_t size = sizeof(T)) {
  for (size_t i = 0; i < size; ++i) out[size - 1 - i] = static_cast<uint8_t>(value >> (8 * i));
}
template <class T>
inline void store_le(uint8_t* out, T value, size_t size = sizeof(T)) {
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(value >> (8 * i));
}
template <class T>
inline T load_be(const uint8_t* in, size_t size = sizeof(T)) {
  T value = 0;
  for (size_t i = 0; i < size; ++i) value = static_cast<T>((value << 8) | in[i]);
  return value;
}
// The same of eight bytes, in one load.
inline uint64_t load_be64(const uint8_t* in) {
  uint64_t value;
  std::memcpy(&value, in, sizeof(value));
  return __builtin_bswap64(value);
}
template <class T>
inline T load_le(const uint8_t* in, size_t size = sizeof(T)) {
  T value = 0;
  for (size_t i = size; i-- > 0;) value = static_cast<T>((value << 8) | in[i]);
  return value;
}
inline uint64_t load_le64(const uint8_t* in) {
  uint64_t value;
  std::memcpy(&value, in, sizeof(value));
  return value;
}
inline void store_le64(uint8_t* out, uint64_t value) {
  std::memcpy(out, &value, sizeof(value));
}
static_assert(std::endian::native == std::endian::little, "loads of eight bytes are as they lie");

// Appends integers of a given width in bytes.
template <class T>
inline void append_be(std::string& out, T value, size_t size = sizeof(T)) {
  uint8_t buffer[8];
  store_be<uint64_t>(buffer, static_cast<uint64_t>(value), size);
  append(out, {buffer, size});
}
template <class T>
inline void append_le(std::string& out, T value, size_t size = sizeof(T)) {
  uint8_t buffer[8];
  store_le<uint64_t>(buffer, static_cast<uint64_t>(value), size);
  append(out, {buffer, size});
}

// LEB128: seven bits a byte, lowest first, in as few bytes as it takes. `out` has room for ten;
// returns how many it took.
inline constexpr size_t kVarintSizeMax = 10;
inline size_t store_varint(uint8_t* out, uint64_t value) {
  size_t size = 0;
  for (; value >= 0x80; value >>= 7) out[size++] = static_cast<uint8_t>(value | 0x80);
  out[size++] = static_cast<uint8_t>(value);
  return size;
}
inline void append_varint(std::string& out, uint64_t value) {
  uint8_t buffer[kVarintSizeMax];
  append(out, {buffer, store_varint(buffer, value)});
}

// Reads outside bytes front to back. After the first short read every later one fails too, and ok()
// is false: check once, at the end, before using what was read.
class ByteReader {
 public:
  explicit ByteReader(Bytes bytes) : rest_(bytes) {}
  Bytes take(size_t size) {
    if (size > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    Bytes taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  uint64_t be(size_t size) {
    Bytes b = take(size);
    return b.empty() ? 0 : load_be<uint64_t>(b.data(), size);
  }
  uint64_t le(size_t size) {
    Bytes b = take(size);
    return b.empty() ? 0 : load_le<uint64_t>(b.data(), size);
  }
  // What store_varint() writes, and nothing else: a longer form fails.
  uint64_t varint() {
    uint64_t value = 0;
    for (size_t i = 0; i < rest_.size() && i < kVarintSizeMax; ++i) {
      const uint64_t bits = rest_[i] & 0x7f;
      if ((i > 0 && rest_[i] == 0) || (i == kVarintSizeMax - 1 && bits > 1)) break;
      value |= bits << (7 * i);
      if (rest_[i] >= 0x80) continue;
      rest_ = rest_.subspan(i + 1);
      return value;
    }
    ok_ = false;
    rest_ = {};
    return 0;
  }
  size_t remaining() const { return rest_.size(); }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && rest_.empty(); }

 private:
  Bytes rest_;
  bool ok_ = true;
};

std::string to_hex(Bytes bytes);
// False if `hex` is not exactly 2 * out.size() hex digits.
bool from_hex(std::string_view hex, MutableBytes out);
// RFC 4648 base64 with padding.
std::string to_base64(Bytes bytes);
// False on any character, padding or length that to_base64 would not have written.
bool from_base64(std::string_view text, std::string* out);

}  // namespace strongroom
