// Reads the vector files of this folder: words divided by spaces, one case a line, "#" begins a
// comment. Needs STRONGROOM_SOURCE_DIR, which strongroom_test() defines.
#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "strongroom/base/bytes.h"
#include "strongroom/base/check.h"

namespace strongroom::test {

using VectorCase = std::vector<std::string>;

// `path` from the repository's root. Empty if there is no such file: count the cases that ran.
inline std::vector<VectorCase> read_vectors(const std::string& path) {
  std::ifstream file(std::string(STRONGROOM_SOURCE_DIR "/") + path);
  std::vector<VectorCase> cases;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream words(line);
    VectorCase words_of_line;
    for (std::string word; words >> word;) words_of_line.push_back(word);
    cases.push_back(words_of_line);
  }
  return cases;
}

// The bytes of one hex word; "-" is empty.
inline std::string unhex(const std::string& hex) {
  if (hex == "-") return {};
  std::string out(hex.size() / 2, '\0');
  SR_CHECK(from_hex(hex, {reinterpret_cast<uint8_t*>(out.data()), out.size()}),
           "a vector is no hex");
  return out;
}

template <size_t N>
ByteArray<N> unhex_array(const std::string& hex) {
  ByteArray<N> out;
  SR_CHECK(from_hex(hex, out), "a vector is no hex, or of another length");
  return out;
}

// One named value of model.txt, as printed by model.py.
inline std::string model_value(const std::string& name) {
  for (const VectorCase& c : read_vectors("test/vectors/model.txt")) {
    if (c.size() == 2 && c[0] == name) return c[1];
  }
  SR_CHECK(false, "model.txt has no such value");
}

}  // namespace strongroom::test
