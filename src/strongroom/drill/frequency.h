// Frequency attacks: what labels, which stand for values in secret, give away to somebody who knows
// how often each value occurs.
//
// Naveed, Kamara, Wright: Inference attacks on property-preserving encrypted databases, CCS 2015
// (rank: "frequency analysis"; assignment: "lp-optimisation"). Nothing here holds a value: values
// are numbers 0..n-1 of a Dictionary.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace strongroom::drill {

using Label = uint64_t;  // Anything of a record that may equal that of another.
using Value = uint32_t;

// A record about which the attacker sees nothing.
inline constexpr Label kNoLabel = UINT64_MAX;
// The best-match assignment takes cubic time: it is made over this many of the most frequent labels
// and values, and the rest are matched by rank.
inline constexpr size_t kAssignedMax = 1024;

// What is known to everybody: each value's share of the people.
struct PublicTable {
  std::vector<double> share;  // By Value. Sums to 1, or is all 0.
  uint64_t sample = 0;        // People it was counted over.

  Value modal() const;  // The most frequent value: the guess of somebody who sees nothing.
};
PublicTable make_table(std::span<const Value> sample, size_t values);

// A guess for each record, from its label alone. Labels that no value is left for, and records
// without a label, get the modal guess.
std::vector<Value> match_by_rank(std::span<const Label> labels, const PublicTable& table);
// The assignment of labels to values under which the counts seen are most likely.
std::vector<Value> match_by_assignment(std::span<const Label> labels, const PublicTable& table);
// For records in an order that may be that of their values: the record at a fifth of the way gets
// the value at a fifth of the people. `order` ranks values: order[v] is v's place.
std::vector<Value> match_by_order(std::span<const uint64_t> positions, const PublicTable& table,
                                  std::span<const uint32_t> order);

// An attacker who ran the same program over people of whom he knows everything, and compares:
// counts labels and values together, and then guesses the likeliest value of a label.
std::vector<Value> match_by_example(std::span<const Label> own_labels,
                                    std::span<const Value> own_values,
                                    std::span<const Label> labels, const PublicTable& table);

// How many guesses are right.
uint64_t count_right(std::span<const Value> guesses, std::span<const Value> truth);

}  // namespace strongroom::drill
