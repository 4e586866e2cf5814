// NDJSON: one JSON object a line.
//
// Paths lead through nested objects ("name.official_full"); the step -1 is the last element of an
// array
// ("terms.-1.phone"). Strings are taken unescaped, numbers and truth values as they are written,
// null as absent. A JSON column keeps any value as its own text. Every byte of a line is checked,
// also what no column asks for.
#pragma once

#include <memory>
#include <vector>

#include "strongroom/intake/row_reader.h"

namespace strongroom::intake {

// columns() is `known`, whatever a line holds. kInvalidArgument: two columns with one path
// (Error::number is the second's, from 1), or more than kColumnsMax.
Result<std::unique_ptr<RowReader>> make_ndjson_reader(std::unique_ptr<ByteSource> source,
                                                      Encoding encoding,
                                                      const std::vector<Column>& known);

}  // namespace strongroom::intake
