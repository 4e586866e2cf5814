#include <signal.h>

#include <iostream>
#include <string>
#include <string_view>

#include "strongroom/app/cli.h"
#ifdef STRONGROOM_TCMALLOC
#include "strongroom/app/huge_pages.h"
#endif
#include "strongroom/app/processes.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/crypto/random.h"

namespace strongroom::app {
namespace {

// What was wrong with a command line, without a word of what was typed: that may be a share, or
// somebody's name. Commands and options are ours.
std::string usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* command = &app;
  std::string words = "strongroom";
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    words += " " + command->get_name();
  }
  const std::string help = "; see `" + words + " --help`";
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    return "an argument or option was not expected" + help;
  }
  if (command->remaining_size() > 0 && command->get_require_subcommand_min() > 0) {
    return "there is no such command or option" + help;
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr ||
      dynamic_cast<const CLI::RequiresError*>(&error) != nullptr ||
      dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr ||
      dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    return error.what() + help;  // Names of options and numbers.
  }
  // The others repeat the value. Which option it is for is a name of ours.
  const std::string_view text = error.what();
  for (const CLI::App* of = command; of != nullptr; of = of->get_parent()) {
    for (const CLI::Option* option : of->get_options()) {
      const std::string name = option->get_name();
      if (text.starts_with(name + ": ") || text.starts_with("Could not convert: " + name + " = ")) {
        return name + " does not take this value" + help;
      }
    }
  }
  return "wrong usage" + help;
}

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
  for (const Add add :
       {add_init,       add_serve,   add_unseal,    add_status,  add_version, add_key,
        add_collection, add_policy,  add_principal, add_freeze,  add_seal,    add_root,
        add_requests,   add_me,      add_generate,  add_import,  add_reindex, add_export,
        add_find,       add_get,     add_write,     add_count,   add_erase,   add_destruction,
        add_hold,       add_subject, add_log,       add_witness, add_alarms,  add_report,
        add_canary,     add_backup,  add_restore,   add_verify,  add_drill,   add_completion,
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
    return usage(usage_error(app, e));
  }
  return status;
}

}  // namespace
}  // namespace strongroom::app

int main(int argc, char** argv) {
#ifdef STRONGROOM_TCMALLOC
  strongroom::app::grow_heap_by_huge_pages();
#endif
  return strongroom::app::run(argc, argv);
}
