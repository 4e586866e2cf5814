// `subject`: what the people in the records may ask for.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

#include "strongroom/app/approval_view.h"
#include "strongroom/app/log_proofs.h"
#include "strongroom/app/query.h"
#include "strongroom/app/subject_view.h"
#include "strongroom/env/files.h"
#include "strongroom/gateway/request.h"
#include "strongroom/keyserver/report_check.h"

namespace strongroom::app {
namespace {

constexpr uint32_t kRecordsMax = 16;  // In one report.
constexpr std::chrono::milliseconds kWitnessesWait{10'000};
constexpr std::chrono::milliseconds kWitnessesLook{250};

struct SubjectOptions : QueryOptions {
  std::vector<std::string> terms;
  std::vector<std::string> ids;
  std::vector<std::string> outputs;
  std::string file;
  std::string reason;
  OfflineLog log;
  std::vector<std::string> witnesses;
};

// The record numbers: by id, or found. Nothing is opened.
Result<std::vector<uint64_t>> records_of(const Global& global, const SubjectOptions& options,
                                         std::string& about) {
  std::vector<uint64_t> out;
  for (const std::string& id : options.ids) {
    const auto idx = gateway::parse_record_id(id);
    if (!idx) return make_error(ErrorCode::kInvalidArgument, "a record's id is ten hex digits");
    out.push_back(idx->value);
  }
  if (!out.empty()) return out;
  SR_ASSIGN(auto query, open_query(global, options, kRecordsMax));
  v1::FindRequest request;
  for (const auto& text : options.terms) {
    SR_ASSIGN(*request.add_terms(), parse_term(text, query.schema));
  }
  *request.mutable_ticket() = query.ticket;
  request.set_request_id(fresh_id());
  request.set_masked(true);
  request.set_ids_only(true);
  request.set_limit(kRecordsMax);
  SR_ASSIGN(const auto found,
            (ask<v1::FindRequest, v1::FindResponse>(query, "Find", request, about)));
  if (found.more()) {
    return make_error(ErrorCode::kTooBroad,
                      "these terms are of more records than a person has (the number is the most "
                      "one report takes); nothing was told. Add a term");
  }
  for (const auto& record : found.records()) {
    const auto idx = gateway::parse_record_id(record.id());
    if (!idx) return make_error(ErrorCode::kInternal, "the gateway's answer names no record");
    out.push_back(idx->value);
  }
  if (out.empty()) {
    return make_error(ErrorCode::kNotFound,
                      "no record has these values; that too was logged as a search");
  }
  return out;
}

Result<void> save(const v1::SubjectReport& report, const std::string& file) {
  const bool page = file.ends_with(".html");
  if (!page && !file.ends_with(".json")) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a report is written as FILE.html or as FILE.json");
  }
  const std::string text = page ? subject_page(report) : keyserver::format_subject_report(report);
  return env::real_files().write_atomic(file, as_bytes(text), 0600);
}

// Every proof of a report.
template <class Visit>
void for_each_proof(v1::SubjectReport& report, const Visit& visit) {
  for (v1::ReportedRecord& record : *report.mutable_records()) {
    visit(*record.mutable_proof());
    for (v1::ReportLine& line : *record.mutable_lines()) visit(*line.mutable_proof());
  }
}

// The same report under a checkpoint that witnesses have cosigned. False: they are late, and it is
// as it was.
Result<bool> lead_to_witnesses(AdminClient& admin, v1::SubjectReport& report) {
  v1::ProveReportRequest request;
  for_each_proof(report, [&](v1::EntryProof& proof) { request.add_leaves(proof.leaf()); });
  Result<v1::ProveReportResponse> proven = make_error(ErrorCode::kUnavailable, "");
  for (std::chrono::milliseconds waited{0}; waited < kWitnessesWait; waited += kWitnessesLook) {
    proven = admin.call<v1::ProveReportRequest, v1::ProveReportResponse>("ProveReport", request);
    if (proven || proven.error().code != ErrorCode::kUnavailable) break;
    std::this_thread::sleep_for(kWitnessesLook);
  }
  if (!proven && proven.error().code == ErrorCode::kUnavailable) return false;
  if (!proven) return proven.error();
  if (proven->paths_size() != request.leaves_size()) {
    return make_error(ErrorCode::kInternal, "the key server's answer lacks proofs");
  }
  report.set_checkpoint(proven->checkpoint());
  int next = 0;
  for_each_proof(report, [&](v1::EntryProof& proof) {
    *proof.mutable_path() = proven->paths(next++).hashes();
  });
  return true;
}

Result<void> report(const Global& global, const SubjectOptions& options, std::string& about) {
  if (options.ids.empty() == options.terms.empty()) {
    return make_error(ErrorCode::kInvalidArgument,
                      "say whose records: either field=value, or --id for each");
  }
  SR_ASSIGN(const auto records, records_of(global, options, about));
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::ReportSubjectRequest request;
  request.set_collection(options.collection);
  request.mutable_idx()->Add(records.begin(), records.end());
  request.set_purpose(options.purpose);
  request.set_case_reference(options.case_reference);
  SR_ASSIGN(auto response, (admin->call<v1::ReportSubjectRequest, v1::ReportSubjectResponse>(
                               "ReportSubject", request)));
  v1::SubjectReport& report = *response.mutable_report();
  bool cosigned = false;
  if (response.witnessed()) {
    SR_ASSIGN(cosigned, lead_to_witnesses(*admin, report));
  }
  // What goes out is what somebody else will check.
  SR_ASSIGN(const tlog::LogKeys keys, admin->log_keys());
  SR_TRY(keyserver::check_subject_report(report, keys, {}));
  for (const std::string& file : options.outputs) {
    about = file;
    SR_TRY(save(report, file));
  }
  if (global.json) {
    std::cout << keyserver::format_subject_report(report) << "\n";
    return {};
  }
  print_subject_report(report);
  std::cerr << "logged as entry " << report.records(0).proof().leaf()
            << (cosigned               ? ", and cosigned by witnesses"
                : response.witnessed() ? "; witnesses have not cosigned that yet"
                                       : "")
            << "\n";
  return {};
}

Result<void> check(const Global& global, const SubjectOptions& options) {
  SR_ASSIGN(const tlog::LogKeys log, log_keys_of(global, options.log));
  std::vector<tlog::NoteKey> witnesses;
  for (const std::string& text : options.witnesses) {
    SR_ASSIGN(auto witness, tlog::parse_note_key(text));
    witnesses.push_back(std::move(witness));
  }
  SR_ASSIGN(const std::string text,
            env::real_files().read(options.file, 2 * keyserver::kSubjectReportBytesMax));
  const auto inner = report_in_page(text);
  SR_ASSIGN(const auto report, keyserver::parse_subject_report(inner ? *inner : text));
  if (inner && subject_page(report) != text) {
    return make_error(ErrorCode::kDataLoss,
                      "this page is not the one that is made of the report in it: it was changed, "
                      "or made by another version. Ask for the report as JSON");
  }
  SR_ASSIGN(const auto checked, keyserver::check_subject_report(report, log, witnesses));
  if (checked.witnesses < witnesses.size()) {
    return make_error(ErrorCode::kDataLoss,
                      "the report fits its checkpoint, but not every witness named cosigned that "
                      "(the number is how many did)",
                      static_cast<int64_t>(checked.witnesses));
  }
  if (global.json) {
    std::cout << "{\"proven\":true,\"lines\":" << checked.lines
              << ",\"unnamed\":" << checked.unnamed << ",\"hidden\":" << checked.hidden
              << ",\"older\":" << checked.older << ",\"size\":" << checked.checkpoint.size
              << ",\"witnesses\":" << checked.witnesses << "}\n";
    return {};
  }
  std::cout << "proven: " << format_count(checked.lines) << " openings, each in the log of "
            << format_count(checked.checkpoint.size) << " entries as the report says";
  if (checked.hidden > 0) std::cout << "; " << format_count(checked.hidden) << " not told yet";
  if (checked.older > 0) std::cout << "; " << format_count(checked.older) << " older not listed";
  if (checked.witnesses > 0) std::cout << "; cosigned by " << checked.witnesses << " witnesses";
  std::cout << "\n";
  return {};
}

Result<void> lift_embargo(const Global& global, const SubjectOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::LiftEmbargoRequest request;
  request.mutable_lift()->set_purpose(options.purpose);
  request.mutable_lift()->set_case_reference(options.case_reference);
  request.set_reason(options.reason);
  SR_ASSIGN(const auto response,
            (admin->call<v1::LiftEmbargoRequest, v1::LiftEmbargoResponse>("LiftEmbargo", request)));
  std::cout << (global.json ? to_json(response) + "\n" : waits_for_approval(response.request()));
  return {};
}

void add_subject_lift_embargo(CLI::App& subject, Global& global, int& status) {
  auto options = std::make_shared<SubjectOptions>();
  auto* command = subject.add_subcommand(
      "lift-embargo", "Have the openings of one case told before their day; takes several");
  command->add_option("--purpose", options->purpose, "Under which they were opened")->required();
  command->add_option("--case", options->case_reference, "The case reference they were opened with")
      ->required();
  command->add_option("--reason", options->reason, "Such as the court's order; approvers read it")
      ->required();
  command->footer(
      "Example:\n  strongroom subject lift-embargo --purpose investigation --case A-2026-117 "
      "--reason 'order 4 C 17/26 of the district court'");
  command->callback([&global, &status, options] {
    if (const auto done = lift_embargo(global, *options); !done) {
      status = fail(global, done.error());
    }
  });
}

void add_subject_report(CLI::App& subject, Global& global, int& status) {
  auto options = std::make_shared<SubjectOptions>();
  auto* command = subject.add_subcommand(
      "report", "Who opened a person's records, for that person: metered, logged, with proofs");
  command->add_option("COLLECTION", options->collection, "Such as person")->required();
  command->add_option("TERM", options->terms, kTermHelp);
  command->add_option("--id", options->ids, "In place of terms: a record's id, as find shows it")
      ->take_all();
  add_query_options(*command, *options, false);
  command
      ->add_option("-o,--output", options->outputs,
                   "FILE.html or FILE.json, for that person; both are allowed")
      ->take_all();
  command->footer(
      "First make sure that whoever asks is that person.\n"
      "Example:\n  strongroom subject report person national_id=110101199003072316 --purpose "
      "subject-access --case SAR-2026-17 -o report.html");
  command->callback([&global, &status, options] {
    std::string about;
    if (const auto done = report(global, *options, about); !done) {
      status = fail_query(global, done.error(), about);
    }
  });
}

void add_subject_check(CLI::App& subject, Global& global, int& status) {
  auto options = std::make_shared<SubjectOptions>();
  auto* command = subject.add_subcommand(
      "check", "Check such a report, offline; needs no vault and no network");
  command->add_option("FILE", options->file, "The report, .html or .json")->required();
  add_offline_log(*command, options->log);
  command
      ->add_option("--witness", options->witnesses,
                   "A witness's verifier key that must have cosigned")
      ->take_all();
  command->footer(
      "Example:\n  strongroom subject check report.html --log "
      "strongroom.local/5e1f...+a1b2c3d4+AQ...");
  command->callback([&global, &status, options] {
    if (const auto done = check(global, *options); !done)
      status = fail(global, done.error(), options->file);
  });
}

}  // namespace

void add_subject(CLI::App& app, Global& global, int& status) {
  auto* command = app.add_subcommand("subject", "What the people in the records may ask for")
                      ->require_subcommand(1);
  command->footer(
      "Example:\n  strongroom subject report person phone=13800138000 --purpose subject-access "
      "--case SAR-2026-17 -o report.html");
  add_subject_report(*command, global, status);
  add_subject_check(*command, global, status);
  add_subject_lift_embargo(*command, global, status);
  add_subject_export(*command, global, status);
  add_subject_erase(*command, global, status);
}

}  // namespace strongroom::app
