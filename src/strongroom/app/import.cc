#include <signal.h>
#include <sys/stat.h>

#include <algorithm>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <iostream>
#include <memory>
#include <mutex>
#include <thread>

#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/app/import.h"
#include "strongroom/app/long_job.h"
#include "strongroom/app/progress.h"
#include "strongroom/app/rejects_file.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/env/clock.h"
#include "strongroom/intake/csv_reader.h"
#include "strongroom/intake/ndjson_reader.h"

namespace strongroom::app {
namespace {

constexpr size_t kBatchRows = 2048;
constexpr size_t kBatchBytes = size_t{2} << 20;
constexpr size_t kBatchesAhead = 2;   // Read while the gateway works.
constexpr size_t kBatchesInHand = 3;  // Sent, and not yet known what became of their rows.
constexpr uint64_t kTicketLifetimeS = 600;
constexpr uint64_t kTicketRenewUs = 300'000'000;
constexpr size_t kRejectsShown = 5;

struct Batch {
  v1::ImportBatchRequest request;
  std::vector<uint64_t> lines;  // Of its rows.
  bool last = false;
};

// Batches from the reader to the sender.
class Queue {
 public:
  void push(Batch batch) {
    std::unique_lock hold(mutex_);
    changed_.wait(hold, [&] { return batches_.size() < kBatchesAhead || closed_; });
    if (closed_) return;
    batches_.push_back(std::move(batch));
    changed_.notify_all();
  }
  std::optional<Batch> pop() {
    std::unique_lock hold(mutex_);
    changed_.wait(hold, [&] { return !batches_.empty() || closed_; });
    if (batches_.empty()) return std::nullopt;
    Batch out = std::move(batches_.front());
    batches_.pop_front();
    changed_.notify_all();
    return out;
  }
  void close() {
    const std::lock_guard hold(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> batches_;
  bool closed_ = false;
};

// Which source this is: its beginning, and how it is read.
std::string source_id(const intake::RowReader& reader, const v1::Collection& schema,
                      const ImportJob& options) {
  std::string how = "SR1 import";
  append_be(how, schema.id());
  how += is_ndjson(options) ? 'j' : 'c';
  how += static_cast<char>(reader.encoding());
  how += options.key;
  how += '\0';
  how += options.salt;
  return std::string(as_text(crypto::sha256({as_bytes(how), reader.head()})));
}

uint64_t file_size(const std::string& path) {
  struct stat info {};
  return path != "-" && stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode)
             ? static_cast<uint64_t>(info.st_size)
             : 0;
}

// One import, from its first row not yet taken in to its last.
class Import {
 public:
  Import(const Global& global, const ImportJob& options) : global_(global), options_(options) {}
  Result<void> run();
  const std::string& about() const {
    return about_;
  }  // What an error is about, if it is one thing.

 private:
  Result<void> begin();
  Result<void> send_all(Queue& queue, Progress& progress);
  Result<void> read_all(Queue& queue);
  Result<void> note_rejects(const v1::ImportState& state);
  Result<void> reject(uint64_t row, uint64_t line, const std::string& field,
                      const std::string& reason, const std::vector<std::string>& values);
  const v1::SignedTicket& ticket();
  void report() const;

  const Global& global_;
  const ImportJob& options_;
  std::optional<Credential> credential_;
  v1::Collection schema_;
  std::unique_ptr<VaultClient> vault_;
  std::unique_ptr<intake::RowReader> reader_;
  std::optional<RejectsFile> rejects_;
  std::mutex rejects_mutex_;  // Reader and sender both find some.
  std::vector<std::string> shown_;
  std::deque<Batch> sent_;
  v1::ImportState state_;
  v1::ImportState before_;
  v1::SignedTicket ticket_;
  uint64_t ticket_us_ = 0;
  bool finished_before_ = false;
  std::string about_;
};

const v1::SignedTicket& Import::ticket() {
  const uint64_t now_us = env::real_clock().monotonic_us();
  if (ticket_us_ == 0 || now_us - ticket_us_ > kTicketRenewUs) {
    TicketTerms terms;
    terms.purpose = options_.purpose;
    terms.case_reference = options_.case_reference;
    terms.collection = schema_.id();
    terms.lifetime_s = kTicketLifetimeS;
    ticket_ = sign_ticket(*credential_, terms, env::real_clock().wall_ms());
    ticket_us_ = now_us;
  }
  return ticket_;
}

Result<void> Import::begin() {
  SR_ASSIGN(credential_, load_credential(global_.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(*credential_));
  SR_ASSIGN(schema_, admin->collection(options_.collection));
  about_ = options_.file;  // What can go wrong here is the file's doing.
  SR_ASSIGN(reader_, open_rows(options_, schema_));
  about_.clear();
  SR_ASSIGN(vault_, VaultClient::connect(*credential_));
  v1::BeginImportRequest request;
  *request.mutable_ticket() = ticket();
  request.set_request_id(fresh_id());
  request.set_source_id(source_id(*reader_, schema_, options_));
  for (const auto& column : reader_->columns()) request.add_columns(column);
  request.set_key_field(options_.key);
  request.set_again(options_.again);
  request.set_empties_missing(options_.empty_missing);
  request.set_tell_places(options_.on_place != nullptr);
  const auto is_key = [&](const v1::Field& f) { return f.unique() && f.name() == options_.key; };
  if (std::any_of(schema_.fields().begin(), schema_.fields().end(), is_key) &&
      !options_.empty_missing) {
    for (const auto& field : schema_.fields()) {
      const auto& there = request.columns();
      if (std::find(there.begin(), there.end(), field.name()) != there.end()) continue;
      about_ = field.name();
      return make_error(ErrorCode::kInvalidArgument,
                        "this field has no column in the file. By --key a changed row replaces the "
                        "whole record, so the field would be emptied. Add the column, or say "
                        "--empty-missing");
    }
  }
  SR_ASSIGN(state_,
            (vault_->call<v1::BeginImportRequest, v1::ImportState>("BeginImport", request)));
  before_ = state_;
  finished_before_ = state_.finished();
  if (finished_before_) return {};
  if (state_.durable().row() > 0) {
    about_ = options_.file;
    SR_TRY(reader_->resume(state_.durable()));
    about_.clear();
    std::cerr << "going on behind row " << format_count(state_.durable().row())
              << ", where an earlier run stopped\n";
  }
  const std::string path = !options_.rejects.empty() ? options_.rejects
                           : options_.file == "-"    ? std::string("import.rejects.csv")
                                                     : options_.file + ".rejects.csv";
  SR_ASSIGN(rejects_, RejectsFile::open(path, state_.durable().row()));
  return {};
}

Result<void> Import::reject(uint64_t row, uint64_t line, const std::string& field,
                            const std::string& reason, const std::vector<std::string>& values) {
  const std::lock_guard hold(rejects_mutex_);
  if (shown_.size() < kRejectsShown) {
    shown_.push_back("row " + std::to_string(row) +
                     (line == 0 ? "" : ", line " + std::to_string(line)) + ": " +
                     (field.empty() ? "" : field + ": ") + reason);
  }
  return rejects_->add(row, line, field, reason, values);
}

Result<void> Import::note_rejects(const v1::ImportState& state) {
  if (options_.on_place) {
    for (const auto& placed : state.placed()) options_.on_place(placed.number(), placed.record());
  }
  for (const auto& rejected : state.rejects()) {
    std::vector<std::string> values;
    uint64_t line = 0;
    for (const Batch& batch : sent_) {
      const auto& rows = batch.request.rows();
      const auto at = std::lower_bound(
          rows.begin(), rows.end(), rejected.number(),
          [](const v1::ImportRow& row, uint64_t number) { return row.number() < number; });
      if (at == rows.end() || at->number() != rejected.number()) continue;
      values.assign(at->values().begin(), at->values().end());
      line = batch.lines[static_cast<size_t>(at - rows.begin())];
    }
    SR_TRY(reject(rejected.number(), line, rejected.field(), rejected.reason(), values));
  }
  return {};
}

Result<void> Import::read_all(Queue& queue) {
  intake::Row row;
  for (;;) {
    Batch batch;
    size_t bytes = 0;
    batch.request.mutable_rows()->Reserve(kBatchRows);
    while (batch.request.rows_size() < static_cast<int>(kBatchRows) && bytes < kBatchBytes &&
           !stop_wanted()) {
      SR_ASSIGN(const auto status, reader_->next(row));
      if (status == intake::ReadStatus::kEnd) {
        batch.last = true;
        break;
      }
      if (row.reject_reason) {
        const std::string field = row.column ? reader_->columns()[*row.column] : std::string();
        SR_TRY(reject(row.number, row.line, field, *row.reject_reason, {}));
        continue;
      }
      auto& out = *batch.request.add_rows();
      out.set_number(row.number);
      for (const auto value : row.values) {
        out.add_values(value.data(), value.size());
        bytes += value.size() + 2;
      }
      batch.lines.push_back(row.line);
    }
    if (stop_wanted()) return {};
    *batch.request.mutable_position() = reader_->position();
    const bool last = batch.last;
    queue.push(std::move(batch));
    if (last) return {};
  }
}

Result<void> Import::send_all(Queue& queue, Progress& progress) {
  while (auto next = queue.pop()) {
    const bool last = next->last;
    const auto position = next->request.position();
    if (next->request.rows_size() > 0) {
      sent_.push_back(std::move(*next));
      auto& request = sent_.back().request;
      request.set_import_id(state_.import_id());
      request.set_request_id(fresh_id());
      request.set_ahead(true);
      *request.mutable_ticket() = ticket();
      SR_ASSIGN(state_,
                (vault_->call<v1::ImportBatchRequest, v1::ImportState>("ImportBatch", request)));
      SR_TRY(note_rejects(state_));
      if (sent_.size() == kBatchesInHand) sent_.pop_front();
    }
    progress.update(position.byte_offset(), position.row(),
                    "safe up to " + format_count(state_.durable().row()));
    if (last) {
      v1::FinishImportRequest request;
      request.set_import_id(state_.import_id());
      request.set_request_id(fresh_id());
      *request.mutable_ticket() = ticket();
      *request.mutable_position() = position;
      SR_ASSIGN(state_,
                (vault_->call<v1::FinishImportRequest, v1::ImportState>("FinishImport", request)));
      return note_rejects(state_);
    }
  }
  return {};
}

Result<void> Import::run() {
  SR_TRY(begin());
  if (finished_before_) {
    report();
    return {};
  }
  stop_between_steps();

  Progress progress("rows", file_size(options_.file));
  Queue queue;
  Result<void> read;
  std::thread reading([&] {
    read = read_all(queue);
    if (!read || stop_wanted()) queue.close();
  });
  const auto sent = send_all(queue, progress);
  queue.close();
  reading.join();
  progress.clear();
  SR_TRY(rejects_->flush());
  if (!read) {
    about_ = options_.file;
    return read.error();
  }
  if (!sent) return sent.error();
  if (stop_wanted()) {
    return make_error(ErrorCode::kUnavailable,
                      "stopped; what is safe stays. Run the same command again to go on behind the "
                      "row named here",
                      static_cast<int64_t>(state_.durable().row()));
  }
  if (options_.report) report();
  return {};
}

void Import::report() const {
  // Of this run and the ones it continued; an import that was finished before did nothing now.
  const uint64_t rejected = state_.rejected() + state_.durable().rejected_by_client();
  const uint64_t imported = finished_before_ ? 0 : state_.imported();
  const uint64_t updated = finished_before_ ? 0 : state_.updated();
  const uint64_t unchanged = finished_before_
                                 ? state_.imported() + state_.updated() + state_.unchanged()
                                 : state_.unchanged();
  if (global_.json) {
    std::cout << "{\"imported\":" << imported << ",\"updated\":" << updated
              << ",\"unchanged\":" << unchanged << ",\"rejected\":" << rejected << "}\n";
    return;
  }
  if (finished_before_) {
    std::cerr << "this file was taken in before, all of it; nothing was done. --again imports it "
                 "once more\n";
  }
  for (const auto& line : shown_) std::cerr << "rejected: " << line << "\n";
  if (rejected > shown_.size() && !shown_.empty()) {
    std::cerr << "... " << format_count(rejected - shown_.size()) << " more in the rejects file\n";
  }
  std::cout << format_count(imported) << " imported, " << format_count(updated) << " updated, "
            << format_count(unchanged) << " unchanged, " << format_count(rejected) << " rejected\n";
}

}  // namespace

bool is_ndjson(const ImportJob& job) {
  return job.format == "ndjson" ||
         (job.format.empty() && (job.file.ends_with(".ndjson") || job.file.ends_with(".jsonl")));
}

Result<std::unique_ptr<intake::RowReader>> open_rows(const ImportJob& job,
                                                     const v1::Collection& schema) {
  SR_ASSIGN(auto source, job.source ? job.source(schema) : intake::ByteSource::open(job.file));
  SR_ASSIGN(const auto encoding, intake::parse_encoding(job.encoding));
  const auto columns = intake::columns_of(schema);
  return is_ndjson(job) ? intake::make_ndjson_reader(std::move(source), encoding, columns)
                        : intake::make_csv_reader(std::move(source), encoding, columns);
}

Result<void> run_import(const Global& global, const ImportJob& job, std::string* about) {
  Import import(global, job);
  const auto done = import.run();
  *about = import.about();
  return done;
}

void add_import(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<ImportJob>();
  auto* command =
      app.add_subcommand("import", "Take records in from CSV or NDJSON; goes on where it stopped");
  command->add_option("COLLECTION", options->collection, "Such as person")->required();
  command->add_option("FILE", options->file, "A file, or - for standard input")->required();
  command->add_option("--format", options->format, "csv or ndjson (by the file's name; csv)")
      ->check(CLI::IsMember({"csv", "ndjson"}));
  command->add_option("--encoding", options->encoding, "auto, utf-8, gb18030 or utf-16 (auto)");
  command->add_option("--key", options->key,
                      "A unique field: rows already there are left alone or updated");
  command->add_option("--rejects", options->rejects,
                      "Where refused rows are noted (FILE.rejects.csv)");
  command->add_option("--purpose", options->purpose, "A purpose your role may import for (import)");
  command->add_option("--case", options->case_reference,
                      "A case reference, where the purpose requires one");
  command->add_flag("--empty-missing", options->empty_missing,
                    "With --key: let changed records lose the fields that have no column");
  command->add_flag("--again", options->again, "Import a file once more that was taken in before");
  command->footer(
      "Examples:\n"
      "  strongroom import person people.csv --key national_id\n"
      "  zcat people.csv.gz | strongroom import person - --encoding gb18030\n"
      "  strongroom import incident incidents.ndjson --rejects refused.csv --json");
  command->callback([&global, &status, options] {
    std::string about;
    if (const auto done = run_import(global, *options, &about); !done) {
      status = fail(global, done.error(), about);
    }
  });
}

}  // namespace strongroom::app
