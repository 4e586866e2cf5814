#include "strongroom/base/check.h"
#include "strongroom/store/store.h"

namespace strongroom::store {

const char* table_name(Table table) {
  switch (table) {
    case Table::kRecords:
      return "records";
    case Table::kPostings:
      return "postings";
    case Table::kUnique:
      return "unique";
    case Table::kDirectory:
      return "directory";
    case Table::kMeta:
      return "meta";
  }
  check_failed(__FILE__, __LINE__, "no such table");
}

}  // namespace strongroom::store
