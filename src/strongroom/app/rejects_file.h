// Rows that were refused, with row, line, field, reason and the values' shapes: letters as x,
// digits as 9, other characters of other scripts as 口. Never the values.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/base/result.h"

namespace strongroom::app {

std::string shape_of(std::string_view value);

// A CSV file, made when the first row comes. Not thread-safe.
class RejectsFile {
 public:
  // What stands in it about rows up to `rows_kept` stays: an import that goes on keeps its earlier
  // rejects.
  static Result<RejectsFile> open(const std::string& path, uint64_t rows_kept);
  RejectsFile(RejectsFile&& other) noexcept;
  RejectsFile& operator=(RejectsFile&& other) noexcept;
  ~RejectsFile();

  Result<void> add(uint64_t row, uint64_t line, const std::string& field, const std::string& reason,
                   const std::vector<std::string>& values);
  Result<void> flush();

 private:
  RejectsFile() = default;
  std::string path_;
  std::FILE* file_ = nullptr;
  bool append_ = false;
};

}  // namespace strongroom::app
