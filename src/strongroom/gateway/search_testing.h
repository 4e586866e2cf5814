// For tests: the plan of a plain conjunction.
#pragma once

#include "strongroom/gateway/search.h"

namespace strongroom::gateway {

inline SearchPlan all_of(size_t terms) {
  SearchPlan plan;
  for (size_t t = 0; t < terms; ++t) {
    plan.clauses.push_back({{{{static_cast<uint16_t>(t)}, 0}}, false});
  }
  return plan;
}

inline std::vector<index::Posting> postings_of(const std::vector<Match>& matches) {
  std::vector<index::Posting> out;
  for (const Match& match : matches) out.push_back(match.posting);
  return out;
}

}  // namespace strongroom::gateway
