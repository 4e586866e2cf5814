// Rows of an import between being read and being sealed: built, and their unique values looked up.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "strongroom/gateway/key_service.h"
#include "strongroom/gateway/online_writer.h"
#include "strongroom/gateway/record_builder.h"
#include "strongroom/index/unique.h"
#include "strongroom/store/store.h"

namespace strongroom::gateway {

using UniqueKey = ByteArray<15>;
struct UniqueKeyHash {
  // Behind the collection's number it is uniform.
  size_t operator()(const UniqueKey& key) const noexcept {
    return load_le<uint64_t>(key.data() + 4);
  }
};

// Reused from batch to batch. Holds plaintext.
struct PreparedRow {
  uint64_t number = 0;
  bool rejected = false;
  BuildProblem problem;  // Why, if it is.
  BuiltRecord built;
  std::string held;  // Its values as HeldRows keeps them, of an import.
  // By position in Collection::unique_fields; without a key the row has no such value.
  std::vector<std::optional<UniqueKey>> unique_keys;
  std::vector<TermToken> unique_tokens;
  std::vector<ByteArray<16>> checks;

  void wipe();
  std::string seal_unique(size_t which, RecordVersion version) const;
  // Everything of it but the sealed row.
  OnlineWrite online_write(RecordVersion version) const;
};

// The record that has a unique value.
struct Holder {
  RecordVersion version;
  ByteArray<16> check{};
  bool current = false;  // `check` is that of the row's content.
};
using Holders = std::unordered_map<UniqueKey, Holder, UniqueKeyHash>;

enum class UniqueUse { kImport, kUpdate, kRenew };
// Unique keys, tokens and checks of the rows that are not rejected, from the key server.
// `space`: of the collection, or with kRenew the one it will have.
Result<void> derive_unique(KeyService& keys, const v1::SignedTicket& ticket, CollectionId space,
                           std::span<PreparedRow> rows, UniqueUse use);
// Which of these values the store's records have by now. A unique row that points nowhere, since
// its write never reached its commit point or its record has another value, holds nothing.
//   kDataLoss  A unique row or a record's row is damaged.
Result<Holders> find_holders(store::Store& store, CollectionId collection,
                             std::span<const PreparedRow> rows);

}  // namespace strongroom::gateway
