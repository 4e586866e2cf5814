#include "strongroom/drill/frequency.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "strongroom/base/check.h"

namespace strongroom::drill {
namespace {

struct Counted {
  uint64_t id;
  uint64_t count;
};

// Most frequent first; ties by number, so that a run can be repeated.
std::vector<Counted> count_labels(std::span<const Label> labels) {
  std::unordered_map<Label, uint64_t> counts;
  for (const Label label : labels) {
    if (label != kNoLabel) ++counts[label];
  }
  std::vector<Counted> out;
  out.reserve(counts.size());
  for (const auto& [label, count] : counts) out.push_back({label, count});
  std::sort(out.begin(), out.end(), [](const Counted& a, const Counted& b) {
    return a.count != b.count ? a.count > b.count : a.id < b.id;
  });
  return out;
}

std::vector<Value> values_by_share(const PublicTable& table) {
  std::vector<Value> out(table.share.size());
  std::iota(out.begin(), out.end(), Value{0});
  std::stable_sort(out.begin(), out.end(),
                   [&](Value a, Value b) { return table.share[a] > table.share[b]; });
  return out;
}

using Meaning = std::unordered_map<Label, Value>;

std::vector<Value> read_labels(std::span<const Label> labels, const Meaning& meaning,
                               const PublicTable& table) {
  const Value modal = table.modal();
  std::vector<Value> out;
  out.reserve(labels.size());
  for (const Label label : labels) {
    const auto it = meaning.find(label);
    out.push_back(it == meaning.end() ? modal : it->second);
  }
  return out;
}

// Minus the logarithm of the chance to count `seen` of `n` people whose value has this share, both
// samples' noise in it; but for constants.
double surprise(double seen, double n, double share, double sample) {
  const double expected = n * share;
  const double variance = expected * (1 + n / std::max(sample, 1.0)) + 1;
  return (seen - expected) * (seen - expected) / variance + std::log(variance);
}

// The cheapest assignment of rows to columns, one to one; rows <= columns; cost[row * columns +
// column]. Kuhn's Hungarian method by shortest augmenting paths (Jonker, Volgenant: A shortest
// augmenting path algorithm for dense and sparse linear assignment problems, 1987).
std::vector<size_t> assign(size_t rows, size_t columns, const std::vector<double>& cost) {
  SR_CHECK(rows <= columns, "a column for each row");
  constexpr size_t kNone = SIZE_MAX;
  std::vector<double> of_row(rows + 1), of_column(columns + 1);
  std::vector<size_t> row_of(columns + 1, kNone), way(columns + 1);
  for (size_t r = 0; r < rows; ++r) {
    // Column `columns` stands for "not in the matching yet".
    size_t at = columns;
    row_of[at] = r;
    std::vector<double> least(columns, std::numeric_limits<double>::infinity());
    std::vector<bool> done(columns + 1, false);
    do {
      done[at] = true;
      const size_t row = row_of[at];
      double delta = std::numeric_limits<double>::infinity();
      size_t next = kNone;
      for (size_t c = 0; c < columns; ++c) {
        if (done[c]) continue;
        const double reduced = cost[row * columns + c] - of_row[row] - of_column[c];
        if (reduced < least[c]) {
          least[c] = reduced;
          way[c] = at;
        }
        if (least[c] < delta) {
          delta = least[c];
          next = c;
        }
      }
      for (size_t c = 0; c <= columns; ++c) {
        if (done[c]) {
          of_row[row_of[c]] += delta;
          of_column[c] -= delta;
        } else if (c < columns) {
          least[c] -= delta;
        }
      }
      at = next;
    } while (row_of[at] != kNone);
    while (at != columns) {
      row_of[at] = row_of[way[at]];
      at = way[at];
    }
  }
  std::vector<size_t> out(rows, kNone);
  for (size_t c = 0; c < columns; ++c) {
    if (row_of[c] != kNone) out[row_of[c]] = c;
  }
  return out;
}

}  // namespace

Value PublicTable::modal() const {
  SR_CHECK(!share.empty(), "a table with values");
  return static_cast<Value>(std::max_element(share.begin(), share.end()) - share.begin());
}

PublicTable make_table(std::span<const Value> sample, size_t values) {
  PublicTable table;
  table.share.assign(values, 0);
  table.sample = sample.size();
  for (const Value value : sample) {
    table.share.at(value) += 1.0 / static_cast<double>(sample.size());
  }
  return table;
}

std::vector<Value> match_by_rank(std::span<const Label> labels, const PublicTable& table) {
  const auto counted = count_labels(labels);
  const auto values = values_by_share(table);
  Meaning meaning;
  for (size_t i = 0; i < counted.size() && i < values.size(); ++i) {
    meaning.emplace(counted[i].id, values[i]);
  }
  return read_labels(labels, meaning, table);
}

std::vector<Value> match_by_assignment(std::span<const Label> labels, const PublicTable& table) {
  const auto counted = count_labels(labels);
  const auto values = values_by_share(table);
  uint64_t seen = 0;
  for (const auto& label : counted) seen += label.count;
  const size_t columns = std::min(values.size(), kAssignedMax);
  const size_t rows = std::min(counted.size(), columns);
  std::vector<double> cost;
  cost.reserve(rows * columns);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c) {
      cost.push_back(surprise(static_cast<double>(counted[r].count), static_cast<double>(seen),
                              table.share[values[c]], static_cast<double>(table.sample)));
    }
  }
  const auto chosen = assign(rows, columns, cost);
  Meaning meaning;
  for (size_t r = 0; r < rows; ++r) meaning.emplace(counted[r].id, values[chosen[r]]);
  for (size_t r = columns; r < counted.size() && r < values.size(); ++r) {
    meaning.emplace(counted[r].id, values[r]);
  }
  return read_labels(labels, meaning, table);
}

std::vector<Value> match_by_order(std::span<const uint64_t> positions, const PublicTable& table,
                                  std::span<const uint32_t> order) {
  SR_CHECK(order.size() == table.share.size(), "a place for each value");
  std::vector<Value> values(order.size());
  for (size_t v = 0; v < order.size(); ++v) values.at(order[v]) = static_cast<Value>(v);
  std::vector<size_t> by_position(positions.size());
  std::iota(by_position.begin(), by_position.end(), size_t{0});
  std::stable_sort(by_position.begin(), by_position.end(),
                   [&](size_t a, size_t b) { return positions[a] < positions[b]; });
  std::vector<Value> out(positions.size(), table.modal());
  size_t at = 0;
  double below = 0;  // Share of the values before `at`.
  for (size_t i = 0; i < by_position.size(); ++i) {
    const double way = (static_cast<double>(i) + 0.5) / static_cast<double>(by_position.size());
    while (at + 1 < values.size() && below + table.share[values[at]] <= way) {
      below += table.share[values[at++]];
    }
    out[by_position[i]] = values[at];
  }
  return out;
}

std::vector<Value> match_by_example(std::span<const Label> own_labels,
                                    std::span<const Value> own_values,
                                    std::span<const Label> labels, const PublicTable& table) {
  SR_CHECK(own_labels.size() == own_values.size(), "a value for each label");
  // Few examples say little: each label starts with so many people as everybody knows them.
  constexpr double kPrior = 20;
  std::unordered_map<Label, std::unordered_map<Value, double>> counts;
  for (size_t i = 0; i < own_labels.size(); ++i) counts[own_labels[i]][own_values[i]] += 1;
  Meaning meaning;
  const Value modal = table.modal();
  for (const auto& [label, of_label] : counts) {
    Value best = modal;
    double most = kPrior * table.share[modal];
    if (const auto it = of_label.find(modal); it != of_label.end()) most += it->second;
    for (const auto& [value, count] : of_label) {
      const double chance = count + kPrior * table.share[value];
      if (chance > most || (chance == most && value < best)) {
        most = chance;
        best = value;
      }
    }
    meaning.emplace(label, best);
  }
  return read_labels(labels, meaning, table);
}

uint64_t count_right(std::span<const Value> guesses, std::span<const Value> truth) {
  SR_CHECK(guesses.size() == truth.size(), "a guess for each record");
  uint64_t right = 0;
  for (size_t i = 0; i < truth.size(); ++i) right += guesses[i] == truth[i] ? 1 : 0;
  return right;
}

}  // namespace strongroom::drill
