// Exports that several have approved: what each may open, and how far it has come, as the log says.
// Spec: docs/spec/export.md
#pragma once

#include <map>
#include <string>

#include "strongroom/base/bytes.h"
#include "strongroom/v1/approval.pb.h"

namespace strongroom::keyserver {

inline constexpr uint64_t kExportRecordsMax = 10'000'000;
inline constexpr uint32_t kExportHoursMax = 24 * 30;
inline constexpr int kExportTermsMax = 64;
inline constexpr int kExportFieldsMax = 256;

struct Export {
  v1::ExportPlan plan;
  std::string author;
  uint64_t until_ms = 0;
  uint64_t exported = 0;   // Records opened; one opened again counts again.
  uint64_t last_leaf = 0;  // Of its last release, or of the approval.
  template <class A>
  void archive(A& a) {
    a(plan, author, until_ms, exported, last_leaf);
  }
};

// Not thread-safe.
class Exports {
 public:
  const Export* find(uint64_t request) const;  // nullptr: never approved, or forgotten since.
  const std::map<uint64_t, Export>& all() const { return exports_; }
  // Forgets those that have ended before t_ms.
  void approved(uint64_t request, Export added, uint64_t t_ms);
  // False: no such export.
  bool opened(uint64_t request, uint64_t records, uint64_t leaf);

  template <class A>
  void archive(A& a) {
    a(exports_);
  }

 private:
  std::map<uint64_t, Export> exports_;  // By the request's id.
};

// What the gateway says it was asked under an export: SHA-256(FindRequest{terms} | collection
// u32be).
std::string export_search(const v1::ExportPlan& plan);

}  // namespace strongroom::keyserver
