// CSV by RFC 4180: quoted fields with doubled quotes and line breaks, lines ending in LF or CRLF, a
// header row.
//
// Spaces belong to their field. Blank lines are no rows. A row that breaks the rules is rejected
// and reading goes on behind its line; only a quote that is never closed takes the rest of the file
// along, since what stands in quotes must never be taken for rows.
#pragma once

#include <memory>
#include <vector>

#include "strongroom/intake/row_reader.h"

namespace strongroom::intake {

// `known`: what the header may name; columns() is what it does name, in its order. Of several
// errors the first counts:
//   kInvalidArgument  The source is empty or not CSV, or the header names a column twice or one
//   that is not known;
//                     Error::number is the column, from 1.
Result<std::unique_ptr<RowReader>> make_csv_reader(std::unique_ptr<ByteSource> source,
                                                   Encoding encoding,
                                                   const std::vector<Column>& known);

}  // namespace strongroom::intake
