#include "strongroom/gateway/prepared_rows.h"

#include <algorithm>

#include "strongroom/base/wipe.h"

namespace strongroom::gateway {
namespace {

constexpr size_t kTokensPerCall = 4096;  // As many as the key server answers at once.

struct Place {
  size_t row;
  size_t which;  // In Collection::unique_fields.
};

Result<void> derive_part(KeyService& keys, const v1::SignedTicket& ticket, CollectionId space,
                         std::span<PreparedRow> rows, std::span<const Place> places,
                         UniqueUse use) {
  v1::Call call;
  auto& ask = *call.mutable_unique_tokens();
  *ask.mutable_ticket() = ticket;
  ask.set_request_id(fresh_request_id());
  ask.set_update(use == UniqueUse::kUpdate);
  ask.set_renew(use == UniqueUse::kRenew);
  for (const Place& place : places) {
    const TermHash& h_w = rows[place.row].built.unique[place.which];
    ask.add_h_w(as_text(h_w.bytes).data(), h_w.bytes.size());
  }
  SR_ASSIGN(v1::Reply reply, keys.call_blocking(std::move(call)));
  std::string& granted = *reply.mutable_unique_tokens()->mutable_tokens();
  if (granted.size() != places.size() * TermToken::kSize) return malformed_reply();
  const Bytes tokens = as_bytes(granted);
  for (size_t k = 0; k < places.size(); ++k) {
    PreparedRow& row = rows[places[k].row];
    const size_t f = places[k].which;
    row.unique_tokens[f] =
        TermToken(tokens.subspan(k * TermToken::kSize).first<TermToken::kSize>());
    row.unique_keys[f] = index::unique_key(space, row.unique_tokens[f]);
    row.checks[f] = index::content_check(row.unique_tokens[f], as_bytes(row.built.content));
  }
  explicit_bzero(granted.data(), granted.size());
  return {};
}

}  // namespace

void PreparedRow::wipe() {
  built.wipe();
  strongroom::wipe(held);
}

std::string PreparedRow::seal_unique(size_t which, RecordVersion version) const {
  return index::seal_unique(*unique_keys[which], unique_tokens[which], {version, checks[which]});
}

OnlineWrite PreparedRow::online_write(RecordVersion version) const {
  OnlineWrite write{version, std::nullopt, {}, built.terms, {}};
  for (size_t f = 0; f < unique_keys.size(); ++f) {
    if (!unique_keys[f]) continue;
    write.unique.push_back(
        {store::Table::kUnique, std::string(as_text(*unique_keys[f])), seal_unique(f, version)});
  }
  return write;
}

Result<void> derive_unique(KeyService& keys, const v1::SignedTicket& ticket, CollectionId space,
                           std::span<PreparedRow> rows, UniqueUse use) {
  std::vector<Place> places;
  for (size_t i = 0; i < rows.size(); ++i) {
    PreparedRow& row = rows[i];
    row.unique_keys.clear();
    if (row.rejected) continue;
    const size_t fields = row.built.has_unique.size();
    row.unique_keys.resize(fields);
    row.unique_tokens.resize(fields);
    row.checks.resize(fields);
    for (size_t f = 0; f < fields; ++f) {
      if (row.built.has_unique[f]) places.push_back({i, f});
    }
  }
  for (size_t from = 0; from < places.size(); from += kTokensPerCall) {
    const size_t count = std::min(kTokensPerCall, places.size() - from);
    SR_TRY(derive_part(keys, ticket, space, rows,
                       std::span<const Place>(places).subspan(from, count), use));
  }
  return {};
}

Result<Holders> find_holders(store::Store& store, CollectionId collection,
                             std::span<const PreparedRow> rows) {
  struct Wanted {
    std::string key;
    Place place;
  };
  std::vector<Wanted> wanted;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].rejected) continue;
    for (size_t f = 0; f < rows[i].unique_keys.size(); ++f) {
      const auto& key = rows[i].unique_keys[f];
      if (key) wanted.push_back({std::string(as_text(*key)), {i, f}});
    }
  }
  Holders holders;
  if (wanted.empty()) return holders;
  std::sort(wanted.begin(), wanted.end(),
            [](const Wanted& a, const Wanted& b) { return a.key < b.key; });
  std::vector<std::string> keys;
  keys.reserve(wanted.size());
  for (const Wanted& w : wanted) keys.push_back(w.key);
  std::vector<std::optional<std::string>> values;
  SR_TRY(store.get(store::Table::kUnique, keys, values));

  std::vector<UniqueKey> found;
  std::vector<index::UniqueRow> unique_rows;
  std::vector<std::string> row_keys;
  for (size_t k = 0; k < keys.size(); ++k) {
    if (!values[k]) continue;
    const PreparedRow& row = rows[wanted[k].place.row];
    const size_t f = wanted[k].place.which;
    SR_ASSIGN(const auto unique,
              index::open_unique(as_bytes(keys[k]), row.unique_tokens[f], as_bytes(*values[k])));
    found.push_back(*row.unique_keys[f]);
    unique_rows.push_back(unique);
    row_keys.push_back(record::row_key(collection, unique.version.idx));
  }
  if (found.empty()) return holders;
  std::vector<std::optional<std::string>> rows_found;
  SR_TRY(store.get(store::Table::kRecords, row_keys, rows_found));
  for (size_t k = 0; k < found.size(); ++k) {
    if (!rows_found[k]) continue;  // Never committed, or erased.
    SR_ASSIGN(const auto header, record::parse_row(as_bytes(*rows_found[k])));
    if (header.u > unique_rows[k].version.u) continue;  // The record has another value by now.
    // An older row: an update was cut off half way. The record may hold the value, and its content
    // is to be redone.
    holders[found[k]] = {{unique_rows[k].version.idx, header.u},
                         unique_rows[k].check,
                         header.u == unique_rows[k].version.u};
  }
  return holders;
}

}  // namespace strongroom::gateway
