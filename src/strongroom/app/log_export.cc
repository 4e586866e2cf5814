#include "strongroom/app/log_export.h"

#include <iostream>
#include <memory>

#include "strongroom/app/log_reader.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/sender/entry_event.h"

namespace strongroom::app {
namespace {

struct LogExportOptions {
  bool ocsf = false;
  uint64_t from = 0;
};

Result<void> run(const Global& global, const LogExportOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  const sender::Origin origin{credential.connection.vault_hex, kVersion};
  return read_log(*admin, options.from, [&](const v1::LogEntryView& entry) -> Result<void> {
    SR_ASSIGN(const auto lines, sender::entry_events(entry, origin));
    for (const std::string& line : lines) std::cout << line << "\n";
    if (std::cout) return {};
    return make_error(
        ErrorCode::kUnavailable,
        "the output cannot be written to; go on with --from and the leaf that follows",
        static_cast<int64_t>(entry.leaf()));
  });
}

}  // namespace

void add_log_export(CLI::App& log, Global& global, int& status) {
  auto options = std::make_shared<LogExportOptions>();
  auto* command =
      log.add_subcommand("export", "The entries as events for other tools, one JSON a line");
  command->add_flag("--ocsf", options->ocsf, "As OCSF 1.3 events")->required();
  command->add_option("--from", options->from, "The first leaf (0)");
  command->footer(
      "Example:\n  strongroom log export --ocsf --from 70000 --credential auditor.json "
      "> events.ndjson");
  command->callback([&global, &status, options] {
    if (const auto done = run(global, *options); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
