#include "strongroom/app/cli.h"

namespace strongroom::app {

void add_subject(CLI::App& app, Global& global, int& status) {
  auto* command = app.add_subcommand("subject", "What the people in the records may ask for");
  command->require_subcommand(1);
  add_subject_erase(*command, global, status);
}

}  // namespace strongroom::app
