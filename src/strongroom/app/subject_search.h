// A person's records, looked for in every collection that has the fields asked by.
#pragma once

#include <string>
#include <vector>

#include "strongroom/app/query.h"
#include "strongroom/base/ids.h"

namespace strongroom::app {

struct SubjectFound {
  v1::Collection schema;
  v1::FindResponse response;
  std::vector<RecordIndex> records() const;
};

struct SubjectSearch {
  std::vector<SubjectFound> found;   // Of each collection that was searched.
  std::vector<std::string> skipped;  // Collections that are not open to this role for this purpose.
  std::string skipped_json() const;  // As an array.
};

struct SubjectAsk {
  bool masked = false;
  uint32_t records_max = 0;  // Of one person in one collection.
};

// Every match is opened, which the log shows: whoever goes on has seen what it is about.
// Collections that are skipped are named on standard error. `about`: the collection an error is
// about.
//   kNotFound  No collection could be searched.
//   kTooBroad  More than records_max in one: these terms are not of one person.
Result<SubjectSearch> find_subject(const Credential& credential, AdminClient& admin,
                                   VaultClient& vault, const QueryOptions& options,
                                   const std::vector<std::string>& terms, SubjectAsk asked,
                                   std::string& about);

}  // namespace strongroom::app
