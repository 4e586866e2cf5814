// In-place sort by a leading run of bytes: most significant byte first (McIlroy, Bostic, McIlroy,
// "Engineering Radix Sort", 1993), std::sort below a few cache lines. For keys that are uniform in
// front, as sealed labels and hashes are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace strongroom::index {

// byte_of(item, n) is byte n of the key, n < bytes; less is an order that starts with these bytes.
template <class T, class ByteOf, class Less>
void radix_sort(std::span<T> items, size_t byte, size_t bytes, const ByteOf& byte_of,
                const Less& less) {
  constexpr size_t kSmall = 256;
  if (items.size() <= kSmall || byte == bytes) {
    std::sort(items.begin(), items.end(), less);
    return;
  }
  size_t next[256] = {};
  size_t end[256];
  for (const T& item : items) ++next[byte_of(item, byte)];
  for (size_t b = 0, at = 0; b < 256; ++b) {
    const size_t count = next[b];
    next[b] = at;
    at += count;
    end[b] = at;
  }
  for (size_t b = 0; b < 256; ++b) {
    while (next[b] < end[b]) {
      T item = items[next[b]];
      for (size_t to = byte_of(item, byte); to != b; to = byte_of(item, byte)) {
        std::swap(item, items[next[to]++]);
      }
      items[next[b]++] = item;
    }
  }
  for (size_t b = 0, at = 0; b < 256; at = end[b], ++b) {
    if (end[b] - at > 1) {
      radix_sort(items.subspan(at, end[b] - at), byte + 1, bytes, byte_of, less);
    }
  }
}

}  // namespace strongroom::index
