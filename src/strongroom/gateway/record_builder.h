// From the values somebody hands in to what is sealed and indexed: validated, stored form, masked
// view, groups, terms.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "strongroom/gateway/catalog.h"
#include "strongroom/index/terms.h"
#include "strongroom/record/record.h"

namespace strongroom::gateway {

// One record, ready to be sealed. Reused from row to row: its strings keep their memory. Holds
// plaintext.
struct BuiltRecord {
  std::vector<std::string> stored;          // By position in Collection::fields; empty: absent.
  std::vector<std::string> masked;          // Likewise.
  std::vector<record::GroupValues> groups;  // Views into the two above.
  std::vector<TermHash> terms;              // No repeats.
  std::vector<TermHash> unique;             // By position in Collection::unique_fields.
  std::vector<bool> has_unique;
  std::string content;  // Canonical form of all stored values, for the content check.

  void wipe();
};

// Which of the collection's fields a column holds.
using Columns = std::vector<size_t>;

struct BuildProblem {
  const Field* field = nullptr;
  const char* reason = "";  // Static text, no value.
};

// Not thread-safe: one per thread.
class RecordBuilder {
 public:
  // `key`: K_q.
  RecordBuilder(std::shared_ptr<const Collection> collection, const TermKey& key);

  // False: `problem` says which field and why, and `out` is not to be used.
  bool build(const Columns& columns, std::span<const std::string_view> values, BuiltRecord& out,
             BuildProblem& problem);
  // The same, but for terms alone: no field is missed, and `out` has no groups and no content.
  bool index(const Columns& columns, std::span<const std::string_view> values, BuiltRecord& out,
             BuildProblem& problem);
  const Collection& collection() const { return *collection_; }

 private:
  std::shared_ptr<const Collection> collection_;
  index::TermHasher hasher_;
  std::vector<index::FieldTerm> field_terms_;
  size_t terms_before_ = 0;         // Of the last record: the next will have about as many.
  std::vector<std::string> norms_;  // By position of the field, where there are composites.
};

}  // namespace strongroom::gateway
