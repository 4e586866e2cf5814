// Which searches a grant allows. A search tells something of the values it goes by, a range or a
// prefix as much as one has patience for: so a role may search by the fields that it may open, and
// by others only where the grant lists them, and then by whole values alone.  Spec: policy.md
#pragma once

#include <string>
#include <unordered_map>

#include "strongroom/base/result.h"
#include "strongroom/policy/collection.h"
#include "strongroom/v1/policy.pb.h"
#include "strongroom/v1/schema.pb.h"

namespace strongroom::policy {

// By which index a term is looked up.
struct AskedTerm {
  uint32_t field = 0;  // Its id.
  v1::IndexKind kind = v1::INDEX_KIND_UNSPECIFIED;
  uint32_t composite = 0;  // Its id, in place of field and kind; 0: none.
};

class SearchRights {
 public:
  SearchRights() = default;
  // `groups`: bit g for each group that the grant opens.
  //   kInvalidArgument  `search_hidden` names what is not there, not hidden, or has no index EXACT;
  //                     `problem`, where given, says which.
  static Result<SearchRights> of(const v1::Grant& grant, uint32_t groups,
                                 const v1::Collection& collection, const std::string& path,
                                 Problem* problem);

  //   kSearchDenied      number: the id of the field that may not be searched so.
  //   kInvalidArgument   The collection has no such index.
  Result<void> check(const AskedTerm& asked) const;

 private:
  struct Kinds {
    uint32_t indexed = 0;  // Bit k: v1::IndexKind k.
    uint32_t allowed = 0;
  };
  std::unordered_map<uint32_t, Kinds> fields_;         // By id.
  std::unordered_map<uint32_t, uint32_t> composites_;  // Id of a part that forbids it; 0: none.
};

}  // namespace strongroom::policy
