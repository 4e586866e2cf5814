// Real input for tests, where the machine has it.
#pragma once

#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace strongroom::index {

// Where the project's shared data lies, unless STRONGROOM_TEST_DATA says otherwise.
inline std::string test_data(const std::string& name) {
  const char* folder = std::getenv("STRONGROOM_TEST_DATA");
  return std::string(folder != nullptr ? folder : "/work/shared/data") + "/" + name;
}

inline bool has_test_data(const std::string& name) {
  return std::ifstream(test_data(name)).good();
}

// The cells of the column `name` of an RFC 4180 file whose quoted cells hold no line break.
inline std::vector<std::string> csv_column(const std::string& file, const std::string& name) {
  std::ifstream in(test_data(file));
  std::vector<std::string> out;
  std::optional<size_t> column;
  for (std::string line; std::getline(in, line);) {
    std::vector<std::string> cells(1);
    bool quoted = false;
    for (const char c : line) {
      if (c == '"') {
        quoted = !quoted;
      } else if (c == ',' && !quoted) {
        cells.emplace_back();
      } else if (c != '\r') {
        cells.back().push_back(c);
      }
    }
    if (!column) {
      column = 0;
      while (*column < cells.size() && cells[*column] != name) ++*column;
    } else if (*column < cells.size()) {
      out.push_back(cells[*column]);
    }
  }
  return out;
}

}  // namespace strongroom::index
