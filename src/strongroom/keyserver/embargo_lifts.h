// Which hidden releases are told before their day, as the log says.  Spec:
// docs/spec/subject_report.md
#pragma once

#include <map>
#include <string>
#include <utility>

#include "strongroom/base/bytes.h"
#include "strongroom/v1/subject.pb.h"

namespace strongroom::keyserver {

inline constexpr size_t kEmbargoLiftsMax = 10'000;

// Not thread-safe.
class EmbargoLifts {
 public:
  void add(const v1::EmbargoLift& lift, uint64_t leaf) {
    lifts_[{lift.purpose(), lift.case_reference()}] = leaf;
  }
  // The entry below which releases under them are told; 0: none is.
  uint64_t below(const std::string& purpose, const std::string& case_reference) const {
    const auto it = lifts_.find({purpose, case_reference});
    return it == lifts_.end() ? 0 : it->second;
  }
  size_t size() const { return lifts_.size(); }

  template <class A>
  void archive(A& a) {
    a(lifts_);
  }

 private:
  std::map<std::pair<std::string, std::string>, uint64_t> lifts_;  // By purpose and case.
};

}  // namespace strongroom::keyserver
