// Ranges as few terms: a value is indexed by the nodes of a tree that hold it, and a range is the
// fewest nodes that cover it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace strongroom::index {

// Calendar: day, month, year, decade, century. `day` is YYYY-MM-DD, or a moment that begins so.
std::vector<std::string> date_nodes(
    std::string_view day);  // "2024-01-31" "2024-01" "2024" "202" "20"
// Both days included, newest node first. Empty where `from` is after `to`.
std::vector<std::string> date_cover(std::string_view from, std::string_view to);

// Whole numbers of [min, max], by hexadecimal digits of value - min. Nodes are written digits
// first, so that one of a level never equals one of another.
std::vector<std::string> integer_nodes(int64_t min, int64_t max, int64_t value);
// Of [from, to], ascending; both are cut to [min, max].
std::vector<std::string> integer_cover(int64_t min, int64_t max, int64_t from, int64_t to);

}  // namespace strongroom::index
