#include <signal.h>

#include <iostream>

#include "strongroom/app/cli.h"
#include "strongroom/app/processes.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/crypto/random.h"

namespace strongroom::app {
namespace {

int run(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  crypto::init();
  CLI::App app{
      "strongroom - a vault for personal records that cannot be carried off.\n"
      "Sealed at rest, searchable, every record that leaves metered and logged first."};
  app.name("strongroom");
  app.require_subcommand(1);
  app.fallthrough();  // Global options may stand behind the command.
  app.get_formatter()->column_width(28);
  app.set_version_flag("--version", std::string("strongroom ") + kVersion);
  Global global;
  int status = kDone;
  app.add_option("--credential", global.credential, "Who you are: a credential file")
      ->envname("STRONGROOM_CREDENTIAL");
  app.add_flag("--json", global.json, "One JSON document on standard output, nothing else");
  for (const Add add : {add_init, add_serve, add_unseal, add_status, add_version, add_key,
                        add_collection, add_policy, add_principal, add_generate, add_import,
                        add_find, add_get, add_count, add_log, add_drill, add_completion,
                        add_processes}) {
    add(app, global, status);
  }
  app.footer(
      "First steps:\n"
      "  strongroom init ./vault --dev && strongroom serve ./vault\n"
      "  strongroom generate person 1000 > people.csv\n"
      "  export STRONGROOM_CREDENTIAL=vault/credentials/operator.json; strongroom import person "
      "people.csv\n"
      "`strongroom COMMAND --help` has examples for each.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e) == 0 ? kDone : kUsage;  // --help, --version.
  } catch (const CLI::ParseError& e) {
    if (argc > 1 && app.get_subcommands().empty()) {
      std::cerr << "strongroom: not a command: " << argv[1] << "; `strongroom --help` lists them\n";
      return kUsage;
    }
    app.exit(e, std::cerr, std::cerr);
    return kUsage;
  }
  return status;
}

}  // namespace
}  // namespace strongroom::app

int main(int argc, char** argv) {
  return strongroom::app::run(argc, argv);
}
