#include <iostream>
#include <sstream>

#include "strongroom/app/long_job.h"
#include "strongroom/app/progress.h"
#include "strongroom/app/query.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/synth/writer.h"

namespace strongroom::app {
namespace {

constexpr uint32_t kBatch = 1000;
constexpr uint64_t kPlaceBytesMax = 4096;

struct ExportOptions : QueryOptions {
  std::vector<std::string> terms;
  std::string output, format, reason;
  uint64_t records = 0;
  uint32_t hours = 24;
};

Result<v1::ExportPlan> plan_of(const ExportOptions& options, const v1::Collection& schema) {
  v1::ExportPlan plan;
  plan.set_collection(schema.id());
  for (const std::string& text : options.terms) {
    SR_ASSIGN(*plan.add_terms(), parse_term(text, schema));
  }
  for (const std::string& field : options.fields) plan.add_fields(field);
  plan.set_masked(options.masked);
  plan.set_records_max(options.records);
  plan.set_purpose(options.purpose);
  plan.set_case_reference(options.case_reference);
  plan.set_hours(options.hours);
  return plan;
}

// How far the file has come, in a file beside it: what an export that was cut off goes on from.
//   "strongroom export 1 " plan " " records " " bytes " " cursor "\n"
class Place {
 public:
  Place(const ExportOptions& options, const v1::ExportPlan& plan)
      : path_(options.output + ".export"),
        plan_(to_hex(crypto::sha256(as_bytes(plan.SerializeAsString())))) {}

  // False: none, so the export begins.
  Result<bool> load() {
    const auto text = env::real_files().read(path_, kPlaceBytesMax);
    if (!text && text.error().code == ErrorCode::kNotFound) return false;
    if (!text) return text.error();
    std::istringstream in(*text);
    std::string program, what, version, plan, cursor64;
    const bool read =
        static_cast<bool>(in >> program >> what >> version >> plan >> records >> bytes);
    in >> cursor64;  // None before the first batch.
    if (!read || program + what + version != "strongroomexport1" ||
        !from_base64(cursor64, &cursor) || plan != plan_) {
      records = bytes = 0;
      return make_error(ErrorCode::kFailedPrecondition,
                        "beside the output lies the place of another export (its name ends in "
                        ".export). Export to another file, or remove both to begin anew");
    }
    return true;
  }
  Result<void> save() const {
    const std::string text = "strongroom export 1 " + plan_ + " " + std::to_string(records) + " " +
                             std::to_string(bytes) + " " + to_base64(as_bytes(cursor)) + "\n";
    return env::real_files().write_atomic(path_, as_bytes(text), 0600);
  }
  Result<void> remove() const { return env::real_files().remove(path_); }

  uint64_t records = 0;  // In the file.
  uint64_t bytes = 0;    // Of it that count.
  std::string cursor;

 private:
  const std::string path_, plan_;
};

class RowWriter {
 public:
  RowWriter(const ExportOptions& options, const v1::Collection& schema)
      : csv_(options.format == "csv"), columns_{"id"}, ndjson_({}) {
    for (const auto& field : schema.fields()) {
      if (std::find(options.fields.begin(), options.fields.end(), field.name()) !=
          options.fields.end()) {
        columns_.push_back(field.name());
      }
    }
    ndjson_ = synth::NdjsonWriter(columns_);
  }
  void header(std::string& out) const {
    if (csv_) synth::append_csv(columns_, out);
  }
  void row(const v1::Record& record, std::string& out) const {
    std::vector<std::string> values{record.id()};
    for (size_t i = 1; i < columns_.size(); ++i) {
      const auto value = record.fields().find(columns_[i]);
      values.push_back(value == record.fields().end() ? std::string() : value->second);
    }
    csv_ ? synth::append_csv(values, out) : ndjson_.append(values, out);
  }

 private:
  bool csv_;
  std::vector<std::string> columns_;
  synth::NdjsonWriter ndjson_;
};

// A budget, or a witness's cosignature of the batch before.
bool passes_by_itself(const Error& error) {
  return error.retry_after_ms > 0 &&
         (error.code == ErrorCode::kBudgetExhausted || error.code == ErrorCode::kUnavailable);
}

Result<uint64_t> run_export(const ExportOptions& options, const v1::ExportPlan& plan,
                            const v1::RequestExportResponse& approved, const Credential& credential,
                            const v1::Collection& schema) {
  SR_ASSIGN(auto vault, VaultClient::connect(credential));
  auto& files = env::real_files();
  Place place(options, plan);
  SR_ASSIGN(const bool resumed, place.load());
  SR_ASSIGN(const bool there, files.exists(options.output));
  if (there && !resumed) {
    return make_error(ErrorCode::kAlreadyExists,
                      "the output is there already, and was written whole or by something else; "
                      "nothing was exported. Choose another file");
  }
  // First, so that whatever ends it here, the file that is then there is known for ours.
  if (!resumed) SR_TRY(place.save());
  SR_ASSIGN(const auto out, files.open_append(options.output, place.bytes, 0));
  const RowWriter rows(options, schema);
  std::string text;
  if (place.bytes == 0) rows.header(text);
  stop_between_steps();
  Progress progress("records", plan.records_max());
  // What was opened and did not reach the file, as the connection broke, was counted too.
  uint64_t left = plan.records_max() - std::min(plan.records_max(), approved.exported());
  for (bool more = true; more && !stop_wanted();) {
    if (left == 0) {
      return make_error(ErrorCode::kPermissionDenied,
                        "as many records were opened as was approved (the number), and there are "
                        "more; the file has what came so far. Ask for more records, for several "
                        "to approve",
                        static_cast<int64_t>(plan.records_max()));
    }
    TicketTerms terms;
    terms.purpose = options.purpose;
    terms.case_reference = options.case_reference;
    terms.collection = schema.id();
    terms.records_max = kBatch;
    terms.export_request = approved.request();
    v1::FindRequest request;
    *request.mutable_ticket() = sign_ticket(credential, terms, env::real_clock().wall_ms());
    request.set_request_id(fresh_id());
    *request.mutable_terms() = plan.terms();
    *request.mutable_fields() = plan.fields();
    request.set_masked(plan.masked());
    request.set_limit(static_cast<uint32_t>(std::min<uint64_t>(kBatch, left)));
    request.set_cursor(place.cursor);
    const auto answer = vault->call<v1::FindRequest, v1::FindResponse>("Find", request);
    if (!answer) {
      if (!passes_by_itself(answer.error())) return answer.error();
      wait_shown(answer.error().retry_after_ms, [&](int64_t seconds) {
        progress.update(place.records, place.records, "waits " + std::to_string(seconds) + " s");
      });
      continue;
    }
    for (const v1::Record& record : answer->records()) rows.row(record, text);
    SR_TRY(out->append(as_bytes(text)));
    SR_TRY(out->sync());
    text.clear();
    const auto count = static_cast<uint64_t>(answer->records_size());
    left -= std::min(left, count);
    more = answer->more();
    place.records += count;
    place.bytes = out->size();
    place.cursor = answer->cursor();
    if (more) SR_TRY(place.save());
    progress.update(place.records, place.records);
  }
  progress.clear();
  if (stop_wanted()) {
    return make_error(ErrorCode::kUnavailable,
                      "stopped; what was exported is in the file (the number is how many records). "
                      "Run the same command again to go on",
                      static_cast<int64_t>(place.records));
  }
  SR_TRY(place.remove());
  return place.records;
}

Result<void> run(const Global& global, ExportOptions options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const auto schema, admin->collection(options.collection));
  if (options.format.empty()) {
    options.format = options.output.ends_with(".ndjson") ? "ndjson" : "csv";
  }
  v1::RequestExportRequest request;
  SR_ASSIGN(*request.mutable_plan(), plan_of(options, schema));
  request.set_reason(options.reason);
  SR_ASSIGN(const auto answer, (admin->call<v1::RequestExportRequest, v1::RequestExportResponse>(
                                   "RequestExport", request)));
  if (!answer.approved()) {
    if (global.json) {
      std::cout << "{\"request\":" << answer.request() << ",\"approved\":false}\n";
    } else {
      std::cout << "several must approve this export, so nothing has left yet: it is request "
                << answer.request() << ", for them to sign with `strongroom approve "
                << answer.request() << "`. Then run this very command again\n";
    }
    return {};
  }
  SR_ASSIGN(const uint64_t records,
            run_export(options, request.plan(), answer, credential, schema));
  if (global.json) {
    std::cout << "{\"request\":" << answer.request()
              << ",\"approved\":true,\"exported\":" << records << "}\n";
  } else {
    std::cout << format_count(records) << " records exported, under request " << answer.request()
              << "\n";
  }
  return {};
}

}  // namespace

void add_export(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<ExportOptions>();
  auto* command = app.add_subcommand(
      "export", "Many records into a file, once several have approved exactly that");
  command->add_option("COLLECTION", options->collection, "Such as person")->required();
  command->add_option("TERM", options->terms, kTermHelp)->required();
  add_query_options(*command, *options, true);
  command->get_option("--fields")->required();
  command->add_option("--records", options->records, "At most so many: part of what is approved")
      ->required()
      ->check(CLI::Range(uint64_t{1}, uint64_t{10'000'000}));
  command->add_option("-o,--output", options->output, "The file; it must not be there yet")
      ->required();
  command->add_option("--format", options->format, "csv or ndjson (by the file's name, or csv)")
      ->check(CLI::IsMember({"csv", "ndjson"}));
  command->add_option("--hours", options->hours, "It may be done for so long once approved (24)")
      ->check(CLI::Range(1, 720));
  command->add_option("--reason", options->reason, "For whoever approves it; logged");
  command->footer(
      "The first time it asks; once approved, the same command exports, in batches of 1,000 that "
      "are\n"
      "metered and logged before they leave. Cut off, it goes on where the file ends.\n"
      "Example:\n"
      "  strongroom export person city=深圳 --fields name,phone --records 20000 --purpose audit "
      "\\\n"
      "    --case R-2026-4 -o shenzhen.csv --reason \"yearly audit\"\n"
      "Before it: a grant with EXPORT. Between: approve.");
  command->callback([&global, &status, options] {
    if (const auto done = run(global, *options); !done) status = fail_query(global, done.error());
  });
}

}  // namespace strongroom::app
