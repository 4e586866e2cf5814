// `subject export`: all that the vault holds of a person, for that person to take along.
#include <iostream>

#include "strongroom/app/subject_search.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"

namespace strongroom::app {
namespace {

constexpr uint32_t kExportedMax = 50;  // In one collection.
constexpr char kFormat[] = "strongroom subject export, version 1";

struct SubjectExportOptions : QueryOptions {
  std::vector<std::string> terms;
  std::string output;
};

std::string type_name(const v1::Field& field) {
  std::string name = v1::FieldType_Name(field.type());
  for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return name;
}

// The values of each record under names that the schema beside them explains.
std::string json_of(const SubjectFound& one) {
  std::string out = "{\"collection\":" + json_string(one.schema.name()) +
                    ",\"title\":" + json_string(one.schema.title()) + ",\"fields\":[";
  for (int i = 0; i < one.schema.fields_size(); ++i) {
    const v1::Field& field = one.schema.fields(i);
    out += (i == 0 ? "" : ",") + std::string("{\"name\":") + json_string(field.name()) +
           ",\"title\":" + json_string(field.title()) +
           ",\"type\":" + json_string(type_name(field)) + "}";
  }
  out += "],\"records\":[";
  for (int i = 0; i < one.response.records_size(); ++i) {
    const v1::Record& record = one.response.records(i);
    out +=
        (i == 0 ? "" : ",") + std::string("{\"id\":") + json_string(record.id()) + ",\"fields\":{";
    bool first = true;
    for (const v1::Field& field : one.schema.fields()) {
      const auto value = record.fields().find(field.name());
      if (value == record.fields().end()) continue;
      out += (first ? "" : ",") + json_string(field.name()) + ":" + json_string(value->second);
      first = false;
    }
    out += "}}";
  }
  return out + "],\"leaf\":" + std::to_string(one.response.leaf()) + "}";
}

Result<void> run(const Global& global, const SubjectExportOptions& options, std::string& about) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(auto vault, VaultClient::connect(credential));
  SR_ASSIGN(const auto found, find_subject(credential, *admin, *vault, options, options.terms,
                                           {.records_max = kExportedMax}, about));
  std::string json = std::string("{\"format\":") + json_string(kFormat) +
                     ",\"exported_at\":" + json_string(format_time(env::real_clock().wall_ms())) +
                     ",\"purpose\":" + json_string(options.purpose) +
                     ",\"case\":" + json_string(options.case_reference) + ",\"collections\":[";
  size_t total = 0;
  for (const SubjectFound& one : found.found) {
    json += (json.back() == '[' ? "" : ",") + json_of(one);
    total += static_cast<size_t>(one.response.records_size());
  }
  json += "],\"not_searched\":" + found.skipped_json() + "}\n";
  if (options.output.empty()) {
    std::cout << json;
  } else {
    about = options.output;
    SR_TRY(env::real_files().write_atomic(options.output, as_bytes(json), 0600));
    about.clear();
    if (global.json) std::cout << "{\"records\":" << total << "}\n";
  }
  explicit_bzero(json.data(), json.size());
  std::cerr << format_count(total) << (total == 1 ? " record" : " records") << " exported\n";
  return {};
}

}  // namespace

void add_subject_export(CLI::App& subject, Global& global, int& status) {
  auto options = std::make_shared<SubjectExportOptions>();
  auto* command = subject.add_subcommand(
      "export", "All that the vault holds of a person, as JSON for that person to take along");
  command->add_option("TERM", options->terms, kTermHelp)->required();
  add_query_options(*command, *options, false);
  command->add_option("-o,--output", options->output,
                      "A file that only you can read; else standard output");
  command->footer(
      "First make sure that whoever asks is that person. It is metered and logged as any opening; "
      "fields\nthat your role may not open for this purpose are left out.\n"
      "Example:\n  strongroom subject export national_id=110101199003072316 --purpose "
      "subject-access --case SAR-2026-18 -o export.json");
  command->callback([&global, &status, options] {
    std::string about;
    if (const auto done = run(global, *options, about); !done) {
      status = fail_query(global, done.error(), about);
    }
  });
}

}  // namespace strongroom::app
