// Checks a subject report as whoever was given it can: with the log's verifier key, and no vault.
// Format and rules: docs/spec/subject_report.md. tools/log_verify.py does the same, from that page.
#pragma once

#include <string_view>

#include "strongroom/tlog/checkpoint.h"
#include "strongroom/v1/subject.pb.h"

namespace strongroom::keyserver {

inline constexpr uint32_t kSubjectReportVersion = 1;
// 16 records of 1,000 lines together, each with its proofs, have less.
inline constexpr size_t kSubjectReportBytesMax = size_t{32} << 20;

//   kDataLoss            Not a report.
//   kFailedPrecondition  Of a newer version.
Result<v1::SubjectReport> parse_subject_report(std::string_view json);
std::string format_subject_report(const v1::SubjectReport& report);  // JSON, one line.

struct CheckedReport {
  tlog::Checkpoint checkpoint;
  uint64_t lines = 0;    // Each proven.
  uint64_t unnamed = 0;  // Of these, such as do not say who and why.
  uint64_t hidden = 0;
  uint64_t older = 0;
  uint64_t witnesses = 0;  // Of those given, how many cosigned the checkpoint.
};
//   kDataLoss         Something in it is not what the log commits to; `number` is the entry.
//   kInvalidArgument  Of another log.
Result<CheckedReport> check_subject_report(const v1::SubjectReport& report,
                                           const tlog::LogKeys& log,
                                           std::span<const tlog::NoteKey> witnesses);

}  // namespace strongroom::keyserver
