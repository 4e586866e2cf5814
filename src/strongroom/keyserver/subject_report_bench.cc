// How long a report on one person takes in a long log: `subject_report_bench ENTRIES [RELEASES]`.
// Every entry releases another record; RELEASES of them (20), spread evenly, that of one person. On
// the disk, in the folder of temporary files: some 600 bytes an entry.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "strongroom/env/process.h"
#include "strongroom/keyserver/report_check.h"
#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

constexpr uint64_t kPlenty = uint64_t{1} << 39;
constexpr uint64_t kBatch = 512;
constexpr int kReports = 51;

double ms_since(std::chrono::steady_clock::time_point from) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - from).count();
}

v1::ReportSubjectRequest request_for(uint64_t idx) {
  v1::ReportSubjectRequest request;
  request.set_collection("person");
  request.set_purpose("service");
  request.add_idx(idx);
  return request;
}

void report(TestVault& vault, uint64_t subject, uint64_t releases, const char* when) {
  std::vector<double> ms;
  for (int i = 0; i < kReports; ++i) {
    const auto from = std::chrono::steady_clock::now();
    const auto reported = vault.server().report_subject("clerk", request_for(subject));
    ms.push_back(ms_since(from));
    SR_CHECK(reported.has_value(), "a report");
    SR_CHECK(reported->report().records(0).lines_size() == static_cast<int>(releases), "whole");
  }
  const double first = ms.front();
  std::sort(ms.begin(), ms.end());
  std::printf(
      "%s: report of %llu releases: first %.1f, p50 %.1f, most %.1f ms; resident %llu MiB\n", when,
      static_cast<unsigned long long>(releases), first, ms[ms.size() / 2], ms.back(),
      static_cast<unsigned long long>(env::resident_bytes() >> 20));
  std::fflush(stdout);
}

void run(uint64_t entries, uint64_t releases) {
  TestVault vault(env::real_files(), true);
  vault.founding().policy.mutable_roles(0)->add_powers(v1::REPORT_SUBJECTS);
  for (v1::Role& role : *vault.founding().policy.mutable_roles()) {
    for (v1::Grant& grant : *role.mutable_grants()) {
      v1::Budget& budget = *grant.mutable_budget();
      budget.set_records_per_hour(kPlenty);
      budget.set_records_per_day(kPlenty);
      budget.set_writes_per_day(kPlenty);
    }
  }
  v1::WatchRule& walk = *vault.founding().policy.mutable_watch()->mutable_walk();
  walk.set_action(v1::WatchRule::OFF);
  SR_CHECK(vault.create().has_value(), "a vault");
  std::vector<std::pair<uint64_t, uint64_t>> records;
  while (records.size() <= entries) {
    const auto granted = vault.call(grant_call(vault.import_ticket(), 4096)).grant();
    SR_CHECK(granted.count() != 0, "granted");
    for (uint32_t i = 0; i < granted.count(); ++i) {
      records.emplace_back(granted.first() + i, granted.u());
    }
    vault.clock().advance_ms(1000);
    SR_CHECK(vault.server().tick().has_value(), "a tick");
  }
  const uint64_t every = entries / releases;
  for (uint64_t done = 0; done < entries;) {
    const auto ticket = vault.ticket({.records_max = kPlenty});
    v1::CallBatch batch;
    for (uint64_t i = 0; i < kBatch && done < entries; ++i, ++done) {
      const bool subject = done % every == every - 1;
      *batch.add_calls() = release_call(ticket, {}, {records[subject ? 0 : 1 + done]}, 2, true);
    }
    const auto replies = vault.server().handle(std::move(batch));
    SR_CHECK(replies.replies(0).has_release(), "released");
    vault.clock().advance_ms(600'000);
    if (done / kBatch % 16 == 0) SR_CHECK(vault.server().tick().has_value(), "a tick");
  }
  report(vault, records[0].first, releases, "live");
  records = {};
  SR_CHECK(vault.open().has_value(), "opened");
  vault.clock().advance_ms(600'000);
  report(vault, 0, releases, "after a start");
}

}  // namespace
}  // namespace strongroom::keyserver

int main(int argc, char** argv) {
  const uint64_t entries = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  const uint64_t releases = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 20;
  strongroom::keyserver::run(entries, releases);
  return 0;
}
