#include <functional>
#include <iostream>
#include <memory>

#include "strongroom/app/cli.h"

namespace strongroom::app {
namespace {

// "find person" and so on: every command with the words that may follow it.
void each_command(const CLI::App& app, const std::string& path,
                  const std::function<void(const std::string&, const std::string&)>& visit) {
  std::string words;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_group().empty()) words += sub->get_name() + " ";
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) words += "--" + name + " ";
  }
  if (!path.empty()) words += "--credential --json ";
  visit(path, words);
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_group().empty())
      each_command(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), visit);
  }
}

void print_bash(const CLI::App& root) {
  std::cout << "# strongroom completion for bash:  source <(strongroom completion bash)\n"
               "_strongroom() {\n"
               "  local cur=\"${COMP_WORDS[COMP_CWORD]}\" path=\"\" word\n"
               "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
               "    case \"$path${path:+ }$word\" in\n";
  each_command(root, "", [](const std::string& path, const std::string&) {
    if (!path.empty()) std::cout << "      '" << path << "') path='" << path << "' ;;\n";
  });
  std::cout << "    esac\n  done\n  case \"$path\" in\n";
  each_command(root, "", [](const std::string& path, const std::string& words) {
    std::cout << "    '" << path << "') COMPREPLY=($(compgen -W '" << words
              << "' -- \"$cur\")) ;;\n";
  });
  std::cout << "  esac\n"
               "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
               "}\n"
               "complete -o filenames -F _strongroom strongroom\n";
}

void print_fish(const CLI::App& root) {
  std::cout << "# strongroom completion for fish:  strongroom completion fish | source\n";
  for (const CLI::App* sub : root.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_group().empty()) continue;
    std::cout << "complete -c strongroom -n __fish_use_subcommand -a " << sub->get_name() << " -d '"
              << sub->get_description() << "'\n";
    for (const CLI::App* inner : sub->get_subcommands([](const CLI::App*) { return true; })) {
      std::cout << "complete -c strongroom -n '__fish_seen_subcommand_from " << sub->get_name()
                << "' -a " << inner->get_name() << "\n";
    }
    for (const CLI::Option* option : sub->get_options()) {
      for (const auto& name : option->get_lnames()) {
        std::cout << "complete -c strongroom -n '__fish_seen_subcommand_from " << sub->get_name()
                  << "' -l " << name << "\n";
      }
    }
  }
}

}  // namespace

void add_completion(CLI::App& app, Global&, int&) {
  auto shell = std::make_shared<std::string>();
  auto* command = app.add_subcommand("completion", "Print shell completion: bash, zsh or fish");
  command->add_option("SHELL", *shell)->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer("Example:\n  source <(strongroom completion bash)");
  command->callback([&app, shell] {
    if (*shell == "fish") return print_fish(app);
    if (*shell == "zsh") std::cout << "autoload -U +X bashcompinit && bashcompinit\n";
    print_bash(app);
  });
}

}  // namespace strongroom::app
