// An import from a file, by the program's own door.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "strongroom/app/cli.h"
#include "strongroom/intake/row_reader.h"
#include "strongroom/intake/source.h"

namespace strongroom::app {

struct ImportJob {
  std::string collection;
  std::string file;  // "-": standard input.
  std::string format;
  std::string encoding = "auto";
  std::string key;
  std::string rejects;
  std::string purpose = "import";
  std::string case_reference;
  bool empty_missing = false;
  bool again = false;
  // In place of `file`, which is then a name for messages only.
  std::function<Result<std::unique_ptr<intake::ByteSource>>(const v1::Collection&)> source = {};
  std::string salt = {};  // Makes it another import than any other of an equal source.
  bool report = true;     // Print what came of it.
  // Told of each new row, by its number in the source, which record it became.
  std::function<void(uint64_t row, uint64_t record)> on_place = {};
};

bool is_ndjson(const ImportJob& job);
Result<std::unique_ptr<intake::RowReader>> open_rows(const ImportJob& job,
                                                     const v1::Collection& schema);
// `about`: what an error is about, if it is one thing.
Result<void> run_import(const Global& global, const ImportJob& job, std::string* about);

}  // namespace strongroom::app
