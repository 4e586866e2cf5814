#include <iostream>

#include "strongroom/app/cli.h"
#include "strongroom/app/vault_dir.h"

namespace strongroom::app {

void add_version(CLI::App& app, Global& global, int&) {
  auto* command = app.add_subcommand("version", "Print the version");
  command->footer("Example:\n  strongroom version");
  command->callback([&global] {
    if (global.json) {
      std::cout << "{\"version\":" << json_string(kVersion) << "}\n";
    } else {
      std::cout << "strongroom " << kVersion << "\n";
    }
  });
}

}  // namespace strongroom::app
