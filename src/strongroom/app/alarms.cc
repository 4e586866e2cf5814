#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

#include "strongroom/app/alarm_view.h"
#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"

namespace strongroom::app {
namespace {

struct AlarmsOptions {
  uint32_t count = 20;
  bool follow = false;
};

using Admin = std::unique_ptr<AdminClient>;

Result<v1::ListAlarmsResponse> ask(AdminClient& admin, const v1::ListAlarmsRequest& request) {
  return admin.call<v1::ListAlarmsRequest, v1::ListAlarmsResponse>("ListAlarms", request);
}

// One a line, as they come, until it is interrupted.
Result<void> follow(const Global& global, AdminClient& admin, v1::ListAlarmsResponse response) {
  v1::ListAlarmsRequest request;
  for (;;) {
    for (const auto& alarm : response.alarms()) {
      std::cout << (global.json ? to_json(alarm) : describe_alarm(alarm)) << std::endl;
      request.set_after(alarm.leaf());
    }
    if (response.alarms().empty()) std::this_thread::sleep_for(std::chrono::milliseconds(500));
    SR_ASSIGN(response, ask(admin, request));
  }
}

Result<void> run(const Global& global, const AlarmsOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::ListAlarmsRequest request;
  request.set_newest(true);
  request.set_count(options.count);
  SR_ASSIGN(auto response, ask(*admin, request));
  if (options.follow) return follow(global, *admin, std::move(response));
  if (global.json) {
    std::cout << to_json(response) << "\n";
    return {};
  }
  for (const auto& alarm : response.alarms()) std::cout << describe_alarm(alarm) << "\n";
  if (response.alarms().empty()) std::cout << "no alarms\n";
  return {};
}

}  // namespace

std::string describe_alarm(const v1::Alarm& alarm) {
  return format_time(alarm.t_ms()) + "  " +
         pad_right(v1::AlarmItem::Rule_Name(alarm.alarm().rule()), 17) + printable(alarm.text()) +
         "; " + printable(alarm.consequence()) + " (entry " + std::to_string(alarm.leaf()) + ")";
}

void add_alarms(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<AlarmsOptions>();
  auto* command = app.add_subcommand("alarms", "What was noticed, why, and what came of it");
  command->add_option("-n", options->count, "How many, the newest (20)")
      ->check(CLI::Range(1, 1000));
  command->add_flag("--follow", options->follow,
                    "And go on with those to come; with --json one document a line");
  command->footer(
      "Examples:\n  strongroom alarms --credential auditor.json\n  strongroom alarms --follow "
      "--json | jq .text");
  command->callback([&global, &status, options] {
    if (const auto done = run(global, *options); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
