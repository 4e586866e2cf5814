// Random schemas, imports, restarts and queries against a plaintext model: the sealed vault answers
// what the model answers. A failure prints its seed; STRONGROOM_MODEL_SEED runs that one again.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <set>

#include "test/support/gateway_vault.h"

namespace strongroom::test {
namespace {

using Fields = std::map<std::string, std::string>;
using Values = std::vector<int>;  // By field: the number of a value in the field's pool; -1: none.

constexpr int kRounds = 10;
constexpr int kStepsPerRound = 9;
constexpr int kQueriesPerStep = 24;

struct FieldModel {
  v1::Field schema;
  int pool = 10;

  std::string name() const { return schema.name(); }
  bool exact() const { return schema.index_size() > 0; }
  // As it is stored.
  std::string text(int value) const {
    const std::string n = std::to_string(value);
    switch (schema.type()) {
      case v1::NAME:
        return "王 " + n;
      case v1::PHONE:
        return "+861380000" + std::to_string(1000 + value);
      case v1::DATE:
        return std::to_string(1900 + value / 28) + "-02-" + (value % 28 < 9 ? "0" : "") +
               std::to_string(value % 28 + 1);
      case v1::INTEGER:
        return std::to_string(value - 3);
      case v1::CODE:
        return "Code-" + n;
      default:
        return "Some text, number " + n;
    }
  }
  // As somebody may spell it in a search.
  std::string spelt(int value, bool otherwise) const {
    std::string out = text(value);
    if (!otherwise) return out;
    if (schema.type() == v1::PHONE) return out.substr(3, 3) + "-" + out.substr(6);
    if (schema.type() == v1::DATE)
      return out.substr(0, 4) + "/" + out.substr(5, 2) + "/" + out.substr(8);
    for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return out;
  }
};

class Model {
 public:
  explicit Model(uint32_t seed) : random_(seed) {
    const int groups = 1 + pick(3);
    schema_.set_id(keyserver::kPerson);
    schema_.set_name("person");
    for (int g = 1; g <= groups; ++g) {
      auto& group = *schema_.add_groups();
      group.set_id(static_cast<uint32_t>(g * 5));
      group.set_name("group" + std::to_string(g));
    }
    const v1::FieldType types[] = {v1::TEXT, v1::NAME, v1::PHONE, v1::DATE, v1::INTEGER, v1::CODE};
    const int count = 1 + pick(6);
    for (int f = 0; f < count; ++f) {
      FieldModel field;
      auto& s = field.schema;
      s.set_id(static_cast<uint32_t>(1 + f * 3));
      s.set_name("field" + std::to_string(f));
      s.set_type(types[pick(6)]);
      s.set_group("group" + std::to_string(1 + pick(groups)));
      if (s.type() == v1::PHONE) s.set_region("CN");
      s.set_required(pick(4) == 0);
      s.set_unique(pick(3) == 0);
      if (f == 0 || pick(5) != 0) s.add_index(v1::EXACT);
      s.set_mask(static_cast<v1::Mask>(pick(5)));
      field.pool = s.unique() ? 600 : 1 << pick(9);
      *schema_.add_fields() = s;
      fields_.push_back(field);
    }
  }

  int pick(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }
  size_t pick_size(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  const v1::Collection& schema() const { return schema_; }
  const std::vector<FieldModel>& fields() const { return fields_; }

  // A file, and what taking it in must do.
  Source make_import(const std::string& name, v1::ImportState* expected) {
    Source source;
    source.name = name;
    for (const auto& field : fields_) source.columns.push_back(field.name());
    std::vector<size_t> unique;
    for (size_t f = 0; f < fields_.size(); ++f) {
      if (fields_[f].schema.unique()) unique.push_back(f);
    }
    std::optional<size_t> key;
    if (!unique.empty() && pick(2) == 0) key = unique[pick_size(unique.size())];
    if (key) source.key = fields_[*key].name();
    for (int rows = pick(3) == 0 ? pick(6) : pick(90); rows > 0; --rows) {
      const Values row = random_row(key);
      take_in(row, key, expected);
      auto& out = source.rows.emplace_back();
      for (size_t f = 0; f < fields_.size(); ++f) {
        out.push_back(row[f] < 0 ? "" : fields_[f].text(row[f]));
      }
    }
    return source;
  }

  // 1 to 4 terms, mostly of one record that exists.
  std::vector<std::pair<size_t, int>> random_terms() {
    std::vector<std::pair<size_t, int>> terms;
    const Values* base =
        records_.empty() || pick(5) == 0 ? nullptr : &records_[pick_size(records_.size())];
    for (int n = 1 + pick(4); n > 0; --n) {
      const auto f = pick_size(fields_.size());
      if (!fields_[f].exact()) continue;
      const bool of_base = base != nullptr && (*base)[f] >= 0 && pick(8) != 0;
      terms.emplace_back(f, of_base ? (*base)[f] : skewed(fields_[f].pool));
    }
    if (terms.empty()) terms.emplace_back(0, skewed(fields_[0].pool));
    return terms;
  }
  std::multiset<Fields> matches(const std::vector<std::pair<size_t, int>>& terms,
                                bool masked) const {
    std::multiset<Fields> out;
    for (const Values& record : records_) {
      bool all = true;
      for (const auto& [f, value] : terms) all = all && record[f] == value;
      if (all) out.insert(shown(record, masked));
    }
    return out;
  }
  std::multiset<Fields> everything() const { return matches({}, false); }
  bool any_mask() const {
    return std::any_of(fields_.begin(), fields_.end(), [](const FieldModel& field) {
      return field.schema.mask() != v1::MASK_UNSPECIFIED;
    });
  }

 private:
  int skewed(int pool) {
    const double u = std::uniform_real_distribution<double>(0, 1)(random_);
    return std::min(pool - 1, static_cast<int>(static_cast<double>(pool) * u * u * u));
  }
  // By key, other unique values are new ones: who of two that want one value gets it is decided in
  // import_test.cc.
  Values random_row(std::optional<size_t> key) {
    Values row;
    for (size_t f = 0; f < fields_.size(); ++f) {
      const auto& field = fields_[f];
      if (pick(field.schema.required() || key == f ? 40 : 6) == 0) {
        row.push_back(-1);
      } else if (field.schema.unique()) {
        row.push_back(key && key != f ? 600 + next_++ : pick(field.pool));
      } else {
        row.push_back(skewed(field.pool));
      }
    }
    return row;
  }
  void take_in(const Values& row, std::optional<size_t> key, v1::ImportState* state) {
    const auto reject = [&] { state->set_rejected(state->rejected() + 1); };
    Values* same = nullptr;
    for (size_t f = 0; f < fields_.size(); ++f) {
      if (row[f] < 0 && (fields_[f].schema.required() || key == f)) return reject();
    }
    if (key) {
      for (Values& record : records_) same = record[*key] == row[*key] ? &record : same;
    }
    if (same != nullptr && *same == row) return state->set_unchanged(state->unchanged() + 1);
    for (size_t f = 0; f < fields_.size(); ++f) {
      if (!fields_[f].schema.unique() || row[f] < 0) continue;
      for (const Values& record : records_) {
        if (&record != same && record[f] == row[f]) return reject();
      }
    }
    if (same == nullptr) {
      records_.push_back(row);
      state->set_imported(state->imported() + 1);
    } else {
      *same = row;
      state->set_updated(state->updated() + 1);
    }
  }
  Fields shown(const Values& record, bool masked) const {
    Fields out;
    for (size_t f = 0; f < fields_.size(); ++f) {
      const auto mask = fields_[f].schema.mask();
      if (record[f] < 0 || (masked && mask == v1::MASK_UNSPECIFIED)) continue;
      const std::string text = fields_[f].text(record[f]);
      out[fields_[f].name()] = masked ? gateway::masked(mask, text) : text;
    }
    return out;
  }

  std::mt19937 random_;
  v1::Collection schema_;
  std::vector<FieldModel> fields_;
  std::vector<Values> records_;
  int next_ = 0;
};

std::multiset<Fields> fields_of(const v1::FindResponse& response) {
  std::multiset<Fields> out;
  for (const auto& record : response.records()) {
    out.insert({record.fields().begin(), record.fields().end()});
  }
  return out;
}

class Round {
 public:
  explicit Round(uint32_t seed) : model_(seed), vault_(options(), {model_.schema()}) {}

  void run() {
    for (int step = 0; step < kStepsPerRound && !testing::Test::HasFailure(); ++step) {
      v1::ImportState expected;
      const Source source = model_.make_import("file " + std::to_string(step), &expected);
      const auto done = vault_.import(source, model_.pick_size(40) + 1);
      ASSERT_TRUE(done) << done.error().text;
      EXPECT_EQ(done->state.imported(), expected.imported());
      EXPECT_EQ(done->state.updated(), expected.updated());
      EXPECT_EQ(done->state.unchanged(), expected.unchanged());
      EXPECT_EQ(done->state.rejected(), expected.rejected());
      EXPECT_EQ(done->rejected.size(), expected.rejected());
      if (model_.pick(3) == 0) vault_.crash();
      for (int q = 0; q < kQueriesPerStep && !testing::Test::HasFailure(); ++q) query();
    }
    std::multiset<Fields> all;
    for (const auto& [id, fields] : vault_.records()) all.insert(fields);
    EXPECT_EQ(all, model_.everything());
  }

 private:
  gateway::GatewayOptions options() {
    gateway::GatewayOptions out;
    out.import.online_records_max = model_.pick_size(40);
    out.import.first_chunk_records = model_.pick_size(60) + 1;
    out.import.chunk_records_max = out.import.first_chunk_records * 2;
    return out;
  }
  void query() {
    const auto terms = model_.random_terms();
    GatewayVault::Terms asked;
    for (const auto& [f, value] : terms) {
      asked.emplace_back(model_.fields()[f].name(),
                         model_.fields()[f].spelt(value, model_.pick(2) == 0));
    }
    const auto expected = model_.matches(terms, false);
    if (model_.pick(4) == 0) {
      const auto count = vault_.count(asked);
      ASSERT_TRUE(count) << count.error().text;
      EXPECT_EQ(count->count(), expected.size());
      return;
    }
    auto request = vault_.find_request(asked);
    const bool masked = model_.any_mask() && model_.pick(5) == 0;
    request.set_masked(masked);
    const auto found = vault_.find(request);
    ASSERT_TRUE(found) << found.error().text;
    EXPECT_EQ(fields_of(*found), masked ? model_.matches(terms, true) : expected);
    EXPECT_FALSE(found->more());
    if (found->records().empty() || model_.pick(4) != 0) return;
    std::vector<std::string> ids;
    for (const auto& record : found->records()) ids.push_back(record.id());
    const auto got = vault_.get(vault_.get_request(ids));
    ASSERT_TRUE(got) << got.error().text;
    EXPECT_EQ(fields_of(*got), expected);
  }

  Model model_;
  GatewayVault vault_;
};

TEST(SearchModelTest, TheVaultAnswersWhatThePlaintextModelAnswers) {
  const char* given = getenv("STRONGROOM_MODEL_SEED");
  const uint32_t first =
      given != nullptr ? static_cast<uint32_t>(std::stoul(given)) : std::random_device{}();
  for (uint32_t round = 0; round < (given != nullptr ? 1 : kRounds); ++round) {
    SCOPED_TRACE("STRONGROOM_MODEL_SEED=" + std::to_string(first + round));
    Round(first + round).run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace strongroom::test
