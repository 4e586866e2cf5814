#include <iostream>
#include <memory>

#include "strongroom/app/cli.h"
#include "strongroom/app/credential.h"
#include "strongroom/crypto/random.h"

namespace strongroom::app {

void add_key(CLI::App& app, Global& global, int& status) {
  auto* command = app.add_subcommand("key", "Your own key: made by you, seen by nobody else");
  command->require_subcommand(1);
  command->footer("Example:\n  strongroom key new -o alice.key");
  auto path = std::make_shared<std::string>();
  auto* make =
      command->add_subcommand("new", "Make a key: FILE for you alone, FILE.pub to hand in");
  make->add_option("-o,--output", *path, "Where the key goes")->required();
  make->footer(
      "Example:\n  strongroom key new -o alice.key      then hand alice.key.pub to whoever keeps "
      "the principals");
  make->callback([&global, &status, path] {
    crypto::init();
    if (const auto saved = save_key(*path, crypto::SigningKey::generate()); !saved) {
      status = fail(global, saved.error(), *path);
      return;
    }
    if (global.json) {
      std::cout << "{\"key\":" << json_string(*path)
                << ",\"public_key\":" << json_string(*path + ".pub") << "}\n";
    } else {
      std::cout << *path << " is your key: keep it to yourself. Hand in " << *path << ".pub\n";
    }
  });
}

}  // namespace strongroom::app
