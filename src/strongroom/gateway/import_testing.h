// What tests of imports share: a file of people, and a vault to take it in.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "test/support/gateway_vault.h"

namespace strongroom::gateway {

inline test::Source people_file(const std::string& name, size_t from, size_t count,
                                const std::string& key = {}, const std::string& city = "Wuhan") {
  test::Source source{name, {"name", "number", "email", "city"}, key, {}, keyserver::kPerson};
  for (size_t i = from; i < from + count; ++i) {
    const std::string n = std::to_string(i);
    source.rows.push_back({"Wang " + n, "N" + n, "w" + n + "@example.org", city});
  }
  return source;
}

struct Counts {
  uint64_t imported, updated, unchanged, rejected;
  bool operator==(const Counts&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, const Counts& c) {
  return out << c.imported << " imported, " << c.updated << " updated, " << c.unchanged
             << " unchanged, " << c.rejected << " rejected";
}
inline Counts counts(const v1::ImportState& state) {
  return {state.imported(), state.updated(), state.unchanged(), state.rejected()};
}

class ImportTest : public testing::Test {
 protected:
  Counts import(const test::Source& source, size_t rows_per_batch = 10) {
    auto done = vault_.import(source, rows_per_batch);
    EXPECT_TRUE(done) << done.error().text;
    if (!done) return {};
    EXPECT_TRUE(done->state.finished());
    rejected_ = done->rejected;
    reasons_ = done->reasons;
    return counts(done->state);
  }
  std::vector<std::string> names(const test::GatewayVault::Terms& terms) {
    const auto found = vault_.find(terms);
    EXPECT_TRUE(found) << found.error().text;
    std::vector<std::string> out;
    if (!found) return out;
    for (const auto& record : found->records()) out.push_back(record.fields().at("name"));
    std::sort(out.begin(), out.end());
    return out;
  }
  std::string field(const std::string& number, const std::string& name) {
    const auto found = vault_.find({{"number", number}});
    EXPECT_TRUE(found && found->records_size() == 1) << number;
    if (!found || found->records_size() != 1) return "";
    const auto& fields = found->records(0).fields();
    return fields.contains(name) ? fields.at(name) : "";
  }

  test::GatewayVault vault_;
  std::vector<uint64_t> rejected_;
  std::vector<std::string> reasons_;
};

}  // namespace strongroom::gateway
