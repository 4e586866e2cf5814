// `strongroom put` and `update`: one record, by hand or from a script.
#include <iostream>

#include "strongroom/app/query.h"
#include "strongroom/env/clock.h"
#include "strongroom/gateway/request.h"
#include "strongroom/keyserver/tickets.h"
#include "strongroom/rpc/interned.h"

namespace strongroom::app {
namespace {

struct WriteOptions : QueryOptions {
  std::string id;
  std::vector<std::string> values;
  bool from_stdin = false;
  bool forget_old = false;
};

constexpr char kValuesHelp[] = "field=value, several are allowed";

// "field=value"; the value may hold "=" too.
Result<void> add_values(const WriteOptions& options,
                        google::protobuf::Map<std::string, std::string>& out) {
  std::vector<std::string> texts = options.values;
  for (std::string line; options.from_stdin && std::getline(std::cin, line);) {
    if (!line.empty()) texts.push_back(line);
  }
  if (texts.empty()) {
    return make_error(ErrorCode::kInvalidArgument,
                      "name at least one field=value; nothing was written");
  }
  for (const std::string& text : texts) {
    const size_t at = text.find('=');
    if (at == 0 || at == std::string::npos) {
      return make_error(ErrorCode::kInvalidArgument,
                        "a value is written as field=value; nothing was written");
    }
    if (!out.insert({text.substr(0, at), text.substr(at + 1)}).second) {
      return make_error(ErrorCode::kInvalidArgument, "a field is named twice; nothing was written");
    }
  }
  return {};
}

// A row that was refused: what is wrong, and of which field.
Error refused(const v1::RejectedRow& row, std::string& about) {
  about = row.field();
  return make_error(ErrorCode::kInvalidArgument, rpc::intern_text(row.reason()));
}

Result<void> put(const Global& global, const WriteOptions& options, std::string& about) {
  v1::PutRequest request;
  SR_TRY(add_values(options, *request.add_records()->mutable_fields()));
  SR_ASSIGN(auto query, open_query(global, options, 0));
  *request.mutable_ticket() = query.ticket;
  request.set_request_id(fresh_id());
  SR_ASSIGN(const auto response,
            (query.vault->call<v1::PutRequest, v1::PutResponse>("Put", request)));
  if (!response.rejects().empty()) return refused(response.rejects(0), about);
  if (global.json) {
    std::cout << to_json(response) << "\n";
  } else {
    std::cout << response.ids(0) << "\n";
  }
  return {};
}

Result<void> update(const Global& global, const WriteOptions& options, std::string& about) {
  v1::UpdateRequest request;
  SR_TRY(add_values(options, *request.mutable_set()));
  const auto idx = gateway::parse_record_id(options.id);
  if (!idx) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a record id has ten hex digits, as find shows it; nothing was written");
  }
  SR_ASSIGN(auto query, open_query(global, options, 1, keyserver::change_digest(*idx)));
  *request.mutable_ticket() = query.ticket;
  request.set_request_id(fresh_id());
  request.set_id(options.id);
  if (options.forget_old) {
    TicketTerms terms;
    terms.purpose = options.purpose;
    terms.case_reference = options.case_reference;
    terms.collection = query.schema.id();
    terms.erases = keyserver::erasure_digest(std::span(&*idx, 1));
    *request.mutable_forget_old() =
        sign_ticket(query.credential, terms, env::real_clock().wall_ms());
  }
  SR_ASSIGN(const auto response,
            (query.vault->call<v1::UpdateRequest, v1::UpdateResponse>("Update", request)));
  if (!response.rejects().empty()) return refused(response.rejects(0), about);
  if (global.json) {
    std::cout << to_json(response) << "\n";
  } else if (!response.changed()) {
    std::cout << response.id() << " is like this already; it was opened for it, logged as entry "
              << response.leaf() << "\n";
  } else {
    std::cout << response.id() << " is changed; it was opened for it, logged as entry "
              << response.leaf() << "\n";
    if (response.has_erased()) {
      std::cout << "the old record, " << options.id << ", is erased, logged as entry "
                << response.erased().leaf() << "\n";
    }
  }
  if (response.not_erased().empty()) return {};
  about = response.id() + " was written with the new values, but " + options.id +
          " is still there with the old ones, to be erased with `erase`";
  return make_error(ErrorCode::kFailedPrecondition, rpc::intern_text(response.not_erased()));
}

void add_values_option(CLI::App& command, WriteOptions& options) {
  command.add_option("VALUE", options.values, kValuesHelp);
  command.add_flag("--stdin", options.from_stdin,
                   "Read field=value lines from standard input: not seen in lists of processes");
}

}  // namespace

void add_write(CLI::App& app, Global& global, int& status) {
  using Work = Result<void> (*)(const Global&, const WriteOptions&, std::string&);
  const auto run = [&global, &status](Work work, std::shared_ptr<WriteOptions> options) {
    return [&global, &status, work, options = std::move(options)] {
      std::string about;
      if (const auto done = work(global, *options, about); !done) {
        status = fail_query(global, done.error(), about);
      }
    };
  };
  auto options = std::make_shared<WriteOptions>();
  auto* put_command = app.add_subcommand("put", "Write a new record; prints its id");
  put_command->add_option("COLLECTION", options->collection, "Such as person")->required();
  add_values_option(*put_command, *options);
  add_query_options(*put_command, *options, false);
  put_command->footer(
      "Files are brought in by `import`.\n"
      "Example:\n  strongroom put person name=王小明 phone=13800138000 "
      "national_id=110101199003072316 --purpose import");
  put_command->callback(run(put, options));

  options = std::make_shared<WriteOptions>();
  auto* update_command = app.add_subcommand("update", "Change values of one record");
  update_command->add_option("COLLECTION", options->collection, "Such as person")->required();
  update_command->add_option("ID", options->id, "Ten hex digits, as find shows it")->required();
  add_values_option(*update_command, *options);
  update_command->add_flag(
      "--forget-old", options->forget_old,
      "Nobody shall open the old values any more, from no copy: the record gets another id");
  add_query_options(*update_command, *options, false);
  update_command->footer(
      "The whole record is opened for it, as by `get`. `field=` takes a value away.\n"
      "Example:\n  strongroom update person 0000000abc phone=13900139000 --purpose correction "
      "--case K-2026-9");
  update_command->callback(run(update, options));
}

}  // namespace strongroom::app
