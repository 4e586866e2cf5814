// New rows of a chunk, held until it is committed: then they get their record numbers in an order
// that nobody knows, so that the numbers do not tell the order of the file.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "strongroom/gateway/online_writer.h"
#include "strongroom/gateway/prepared_rows.h"

namespace strongroom::gateway {

// Holds plaintext, wiped once a row is sealed or forgotten. Not thread-safe, but for seal().
class HeldRows {
 public:
  HeldRows() = default;
  HeldRows(const HeldRows&) = delete;
  HeldRows& operator=(const HeldRows&) = delete;
  ~HeldRows() { clear(); }

  // What it keeps of the values; the rest of a row is moved.
  static std::string values_of(std::span<const record::GroupValues> groups);
  // Takes `held` and the terms of a row.
  void add(PreparedRow& row);
  void clear();

  bool empty() const { return rows_.empty(); }
  size_t size() const { return rows_.size(); }
  size_t terms() const { return terms_; }  // Of all rows.
  size_t bytes() const { return bytes_; }  // Of all values, about.

  // Draws the order of seal().
  void shuffle();
  // Of the i-th row in the drawn order, in its file.
  uint64_t number(size_t i) const { return rows_[order_[i]].number; }
  // Before seal(i): what it and the next ones need, up to the `end`-th, which is another thread's.
  // A drawn order misses the processor's caches at each step.
  void prefetch(size_t i, size_t end) const;
  // The i-th row in the drawn order, sealed. Once each; from several threads for different i.
  Result<OnlineWrite> seal(size_t i, CollectionId collection, RecordVersion version,
                           const WriteSecret& secret);

 private:
  struct Unique {
    UniqueKey key;
    TermToken token;
    ByteArray<16> check;
  };
  struct Row {
    uint64_t number = 0;
    std::string values;  // n x (group u8 | bytes_min u16 | values u16 | values x (field u16 |
                         // length u32 | bytes))
    std::vector<TermHash> terms;
    std::vector<Unique> unique;
  };
  std::deque<Row> rows_;         // Never moved: no copy of a short value stays behind.
  std::vector<uint32_t> order_;  // Secret: what it says is what numbers must not.
  size_t terms_ = 0;
  size_t bytes_ = 0;
};

}  // namespace strongroom::gateway
