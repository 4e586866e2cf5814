// `strongroom erase` and `subject erase`: for ever, with a proof of it.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <thread>

#include "strongroom/app/log_proofs.h"
#include "strongroom/app/query.h"
#include "strongroom/app/subject_search.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/gateway/request.h"
#include "strongroom/keyserver/tickets.h"

namespace strongroom::app {
namespace {

constexpr uint32_t kSubjectRecordsMax = 50;  // Of one person in one collection.
constexpr int kProofTries = 20;
constexpr std::chrono::milliseconds kProofEvery{500};

struct EraseOptions : QueryOptions {
  std::vector<std::string> ids;
  std::vector<std::string> terms;
  std::string statement;
  bool yes = false;
};

struct Erased {
  v1::Collection schema;
  std::vector<RecordIndex> records;
  v1::EraseResponse response;
  std::string proof;
};

Error not_confirmed() {
  return make_error(ErrorCode::kFailedPrecondition,
                    "nothing was erased: answer yes, or say --yes where nobody can be asked");
}

bool confirmed(const EraseOptions& options) {
  if (options.yes) return true;
  if (isatty(STDIN_FILENO) != 1) return false;
  std::cerr << "Nobody can undo this. Erase them for ever? Type yes: " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "yes";
}

std::string count_of(size_t n) {
  return format_count(n) + (n == 1 ? " record" : " records");
}

// The checkpoint that has it comes within a second.
Result<std::string> fetch_proof(AdminClient& admin, uint64_t leaf) {
  v1::ProveErasureRequest request;
  request.set_leaf(leaf);
  for (int tries = 1;; ++tries) {
    const auto proven =
        admin.call<v1::ProveErasureRequest, v1::ProveErasureResponse>("ProveErasure", request);
    if (proven) return proven->proof();
    if (proven.error().code != ErrorCode::kUnavailable || tries == kProofTries) {
      return proven.error();
    }
    std::this_thread::sleep_for(kProofEvery);
  }
}

Result<Erased> erase(const Credential& credential, AdminClient& admin, VaultClient& vault,
                     const EraseOptions& options, const v1::Collection& schema,
                     std::vector<RecordIndex> records) {
  std::sort(records.begin(), records.end());
  records.erase(std::unique(records.begin(), records.end()), records.end());
  Erased out{schema, std::move(records), {}, {}};
  TicketTerms terms;
  terms.purpose = options.purpose;
  terms.case_reference = options.case_reference;
  terms.collection = schema.id();
  terms.erases = keyserver::erasure_digest(out.records);
  v1::EraseRequest request;
  *request.mutable_ticket() = sign_ticket(credential, terms, env::real_clock().wall_ms());
  request.set_request_id(fresh_id());
  for (const RecordIndex idx : out.records) request.add_ids(gateway::record_id(idx));
  SR_ASSIGN(out.response, (vault.call<v1::EraseRequest, v1::EraseResponse>("Erase", request)));
  // The gateway alone said so. That it is true the key server proves.
  SR_ASSIGN(out.proof, fetch_proof(admin, out.response.leaf()));
  SR_ASSIGN(const tlog::LogKeys keys, admin.log_keys());
  SR_TRY(verify_erasure_proof(keys, out.proof, schema.id(), out.records));
  return out;
}

Result<void> save(const EraseOptions& options, const Erased& erased, const std::string& suffix) {
  if (options.statement.empty()) return {};
  return env::real_files().write_atomic(options.statement + suffix, as_bytes(erased.proof), 0644);
}

std::string json_of(const Erased& erased) {
  std::string out = "{\"collection\":" + json_string(erased.schema.name()) + ",\"erased\":[";
  for (size_t i = 0; i < erased.records.size(); ++i) {
    out += (i == 0 ? "" : ",") + json_string(gateway::record_id(erased.records[i]));
  }
  return out + "],\"leaf\":" + std::to_string(erased.response.leaf()) +
         ",\"t_ms\":" + std::to_string(erased.response.t_ms()) +
         ",\"rows_left\":" + (erased.response.rows_left() ? "true" : "false") +
         ",\"proof\":" + json_string(erased.proof) + "}";
}

void print_text(const Erased& erased) {
  std::cout << "erased " << count_of(erased.records.size()) << " of " << erased.schema.name()
            << ", logged as entry " << erased.response.leaf() << " at "
            << format_time(erased.response.t_ms()) << "\n";
  if (erased.response.rows_left()) {
    std::cout << "  the sealed rows, which nobody can open any more, go from the store later\n";
  }
}

void print_horizon() {
  std::cout
      << "Nobody can open them through this vault any more, from no copy of the store. Only all "
         "shares and a copy of the key\nserver's disk from before its next epoch still can: "
         "`strongroom status` prints when that is over.\n";
}

Result<void> run(const Global& global, const EraseOptions& options) {
  std::vector<RecordIndex> records;
  for (const std::string& text : options.ids) {
    const auto idx = gateway::parse_record_id(text);
    if (!idx) {
      return make_error(ErrorCode::kInvalidArgument,
                        "a record id has ten hex digits, as find shows it; nothing was erased");
    }
    records.push_back(*idx);
  }
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const auto schema, admin->collection(options.collection));
  if (!options.yes) std::cerr << count_of(records.size()) << " of " << schema.name() << "\n";
  if (!confirmed(options)) return not_confirmed();
  SR_ASSIGN(auto vault, VaultClient::connect(credential));
  SR_ASSIGN(const auto erased,
            erase(credential, *admin, *vault, options, schema, std::move(records)));
  SR_TRY(save(options, erased, ""));
  if (global.json) {
    std::cout << json_of(erased) << "\n";
  } else {
    print_text(erased);
    print_horizon();
  }
  return {};
}

Result<void> run_subject(const Global& global, const EraseOptions& options, std::string& about) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(auto vault, VaultClient::connect(credential));
  SR_ASSIGN(const auto found,
            find_subject(credential, *admin, *vault, options, options.terms,
                         {.masked = true, .records_max = kSubjectRecordsMax}, about));
  size_t total = 0;
  for (const SubjectFound& one : found.found) {
    total += static_cast<size_t>(one.response.records_size());
    if (one.response.records().empty() || global.json) continue;
    std::cout << one.schema.name() << ":\n";
    show_records(global, one.schema, one.response, false);
  }
  if (total == 0) {
    if (global.json)
      std::cout << "{\"collections\":[],\"not_searched\":" << found.skipped_json() << "}\n";
    std::cerr << "no match, so nothing was erased\n";
    return {};
  }
  if (!options.yes) std::cerr << count_of(total) << " in all\n";
  if (!confirmed(options)) return not_confirmed();
  std::string json;
  for (const SubjectFound& one : found.found) {
    if (one.response.records().empty()) continue;
    about = one.schema.name();
    SR_ASSIGN(const auto erased,
              erase(credential, *admin, *vault, options, one.schema, one.records()));
    SR_TRY(save(options, erased, "." + one.schema.name()));
    json += (json.empty() ? "" : ",") + json_of(erased);
    if (!global.json) print_text(erased);
  }
  about.clear();
  if (global.json) {
    std::cout << "{\"collections\":[" << json << "],\"not_searched\":" << found.skipped_json()
              << "}\n";
  } else {
    print_horizon();
  }
  return {};
}

void add_options(CLI::App& command, EraseOptions& options, const char* statement) {
  add_query_options(command, options, false);
  command.add_option("--statement", options.statement, statement);
  command.add_flag("--yes", options.yes, "Do not ask");
}

}  // namespace

void add_erase(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<EraseOptions>();
  auto* command =
      app.add_subcommand("erase", "Erase records for ever, from old copies of the vault too");
  command->add_option("COLLECTION", options->collection, "Such as person")->required();
  command->add_option("ID", options->ids, "Ten hex digits, as find shows them; at most 1000")
      ->required();
  add_options(*command, *options,
              "Save the proof here: which records, when; `log check` checks it offline");
  command->footer(
      "Example:\n  strongroom erase person 0000000abc --purpose erasure --case R-2026-31 "
      "--statement r-31.tlog-proof");
  command->callback([&global, &status, options] {
    if (const auto done = run(global, *options); !done) status = fail_query(global, done.error());
  });
}

void add_subject_erase(CLI::App& subject, Global& global, int& status) {
  auto options = std::make_shared<EraseOptions>();
  auto* command = subject.add_subcommand(
      "erase", "Erase all records of a person, in every collection you may search");
  command->add_option("TERM", options->terms, kTermHelp)->required();
  add_options(*command, *options, "Save a proof for each collection here, as FILE.COLLECTION");
  command->footer(
      "Example:\n  strongroom subject erase phone=13800138000 --purpose erasure --case R-2026-31");
  command->callback([&global, &status, options] {
    std::string about;
    if (const auto done = run_subject(global, *options, about); !done) {
      status = fail_query(global, done.error(), about);
    }
  });
}

}  // namespace strongroom::app
