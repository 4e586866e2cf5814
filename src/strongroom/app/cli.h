// What every command shares: the global options, how it speaks to people and programs, how it ends.
//
// Output is for people on a terminal; with --json one JSON document goes to standard output and
// nothing else. Messages and progress go to standard error. Exit status: 0 done, 1 refused or
// failed (one line says why and what to do), 2 usage.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/base/result.h"

namespace google::protobuf {
class Message;
}

namespace strongroom::app {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

struct Global {
  bool json = false;
  std::string credential;  // --credential or STRONGROOM_CREDENTIAL.
};

// Each command adds its subcommand to `app`; its callback sets the exit status.
using Add = void (*)(CLI::App& app, Global& global, int& status);
void add_init(CLI::App&, Global&, int&);
void add_serve(CLI::App&, Global&, int&);
void add_unseal(CLI::App&, Global&, int&);
void add_status(CLI::App&, Global&, int&);
void add_version(CLI::App&, Global&, int&);
void add_key(CLI::App&, Global&, int&);
void add_collection(CLI::App&, Global&, int&);
void add_policy(CLI::App&, Global&, int&);
void add_policy_review(CLI::App& policy, Global&, int&);
void add_principal(CLI::App&, Global&, int&);
void add_policy_test(CLI::App& policy, Global&, int&);  // Below `policy`.
void add_freeze(CLI::App&, Global&, int&);
void add_seal(CLI::App&, Global&, int&);
void add_root(CLI::App&, Global&, int&);
void add_requests(CLI::App&, Global&, int&);
void add_me(CLI::App&, Global&, int&);
void add_generate(CLI::App&, Global&, int&);
void add_import(CLI::App&, Global&, int&);
void add_export(CLI::App&, Global&, int&);
void add_reindex(CLI::App&, Global&, int&);
void add_find(CLI::App&, Global&, int&);
void add_get(CLI::App&, Global&, int&);
void add_write(CLI::App&, Global&, int&);  // put, update
void add_destruction(CLI::App&, Global&, int&);
void add_hold(CLI::App&, Global&, int&);
void add_count(CLI::App&, Global&, int&);
void add_erase(CLI::App&, Global&, int&);
void add_subject(CLI::App&, Global&, int&);
void add_subject_erase(CLI::App& subject, Global&, int&);  // Below `subject`.
void add_subject_export(CLI::App& subject, Global&, int&);
void add_log(CLI::App&, Global&, int&);
void add_witness(CLI::App&, Global&, int&);
void add_alarms(CLI::App&, Global&, int&);
void add_report(CLI::App&, Global&, int&);
void add_canary(CLI::App&, Global&, int&);
void add_drill(CLI::App&, Global&, int&);
void add_backup(CLI::App&, Global&, int&);
void add_restore(CLI::App&, Global&, int&);
void add_verify(CLI::App&, Global&, int&);
void add_subject(CLI::App&, Global&, int&);
void add_completion(CLI::App&, Global&, int&);

// Prints "strongroom: TEXT (number)" and, where there is one, when to retry. With --json
// {"error":{...}} on stdout.
// `contact`, where it is known: whom to ask about it.
int fail(const Global& global, const Error& error, std::string_view about = {},
         std::string_view contact = {});
int usage(std::string_view text);
// For commands that share one set of options: run(work) is the callback of the command that does
// `work`, and sets the exit status.
template <class Options>
auto runner(const Global& global, int& status, std::shared_ptr<Options> options) {
  return [&global, &status, options](Result<void> (*work)(const Global&, const Options&)) {
    return [&global, &status, options, work] {
      if (const auto done = work(global, *options); !done) status = fail(global, done.error());
    };
  };
}

bool stdout_is_terminal();
bool stderr_is_terminal();
// Columns a text takes on a terminal: wide characters take two.
size_t display_width(std::string_view utf8);
std::string pad_right(std::string_view utf8, size_t width);
// With a space for each character that a terminal would obey instead of show.
std::string printable(std::string_view utf8);
// A table with aligned columns; the first row is the head.
void print_table(const std::vector<std::vector<std::string>>& rows);
// A protobuf message as JSON with snake_case names, every field present, on one line.
std::string to_json(const google::protobuf::Message& message);
std::string json_string(std::string_view text);
std::string format_count(uint64_t n);    // 1,234,567
std::string format_time(uint64_t t_ms);  // 2026-11-22 15:03:11Z

}  // namespace strongroom::app
