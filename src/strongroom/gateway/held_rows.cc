#include "strongroom/gateway/held_rows.h"

#include "strongroom/base/wipe.h"
#include "strongroom/crypto/random.h"

namespace strongroom::gateway {
namespace {

std::vector<record::GroupValues> views_of(const std::string& held) {
  std::vector<record::GroupValues> groups;
  ByteReader reader(as_bytes(held));
  while (reader.remaining() > 0) {
    auto& group = groups.emplace_back();
    group.group = GroupId{static_cast<uint8_t>(reader.be(1))};
    group.bytes_min = reader.be(2);
    group.values.resize(reader.be(2));
    for (auto& value : group.values) {
      value.field = FieldId{static_cast<uint16_t>(reader.be(2))};
      value.value = as_text(reader.take(reader.be(4)));
    }
  }
  SR_CHECK(reader.ok(), "what was held is read back");
  return groups;
}

template <class T>
void wipe_and_clear(std::vector<T>& values) {
  if (!values.empty()) explicit_bzero(values.data(), values.size() * sizeof(T));
  values.clear();
}

}  // namespace

std::string HeldRows::values_of(std::span<const record::GroupValues> groups) {
  size_t size = 0;
  for (const auto& group : groups) {
    size += 5;
    for (const auto& value : group.values) size += 6 + value.value.size();
  }
  std::string out;
  out.reserve(size);  // No copy is left behind by growing.
  for (const auto& group : groups) {
    append_be(out, group.group.value, 1);
    append_be(out, group.bytes_min, 2);
    append_be(out, group.values.size(), 2);
    for (const auto& value : group.values) {
      append_be(out, value.field.value, 2);
      append_be(out, value.value.size(), 4);
      out += value.value;
    }
  }
  return out;
}

void HeldRows::add(PreparedRow& row) {
  Row& held = rows_.emplace_back();
  held.number = row.number;
  held.values.swap(row.held);
  held.terms.swap(row.built.terms);
  for (size_t f = 0; f < row.unique_keys.size(); ++f) {
    if (!row.unique_keys[f]) continue;
    held.unique.push_back({*row.unique_keys[f], row.unique_tokens[f].clone(), row.checks[f]});
  }
  terms_ += held.terms.size();
  bytes_ += held.values.size();
}

void HeldRows::clear() {
  for (Row& row : rows_) wipe(row.values);
  rows_.clear();
  wipe_and_clear(order_);
  terms_ = 0;
  bytes_ = 0;
}

void HeldRows::shuffle() {
  order_.resize(rows_.size());
  crypto::random_order(order_);
}

void HeldRows::prefetch(size_t i, size_t end) const {
  constexpr size_t kRowsAhead = 8, kValuesAhead = 4;
  if (i + kRowsAhead < end) {
    const auto* row = reinterpret_cast<const char*>(&rows_[order_[i + kRowsAhead]]);
    __builtin_prefetch(row);
    __builtin_prefetch(row + sizeof(Row) - 1);
  }
  if (i + kValuesAhead < end) {
    const Row& row = rows_[order_[i + kValuesAhead]];
    __builtin_prefetch(row.values.data());
    __builtin_prefetch(row.terms.data());
    __builtin_prefetch(row.unique.data());
  }
}

Result<OnlineWrite> HeldRows::seal(size_t i, CollectionId collection, RecordVersion version,
                                   const WriteSecret& secret) {
  Row& row = rows_[order_[i]];
  OnlineWrite write{version, std::nullopt, {}, std::exchange(row.terms, {}), {}};
  for (const Unique& unique : row.unique) {
    write.unique.push_back({store::Table::kUnique, std::string(as_text(unique.key)),
                            index::seal_unique(unique.key, unique.token, {version, unique.check})});
  }
  row.unique.clear();
  const auto sealed = record::seal(collection, version, secret, views_of(row.values), write.row);
  wipe(row.values);
  std::exchange(row.values, {});
  SR_TRY(sealed);
  return write;
}

}  // namespace strongroom::gateway
