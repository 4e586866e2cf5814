#include <termios.h>
#include <unistd.h>

#include <iostream>
#include <memory>

#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"

namespace strongroom::app {
namespace {

// A line from standard input, not shown on a terminal.
std::string read_hidden(const char* prompt) {
  termios before{};
  const bool terminal = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before) == 0;
  if (terminal) {
    std::cerr << prompt << std::flush;
    termios hidden = before;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  }
  std::string line;
  std::getline(std::cin, line);
  if (terminal) {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    std::cerr << "\n";
  }
  return line;
}

Result<void> run(const Global& global) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::UnsealRequest request;
  *request.mutable_share() = read_hidden("Your share: ");
  auto response = admin->call<v1::UnsealRequest, v1::UnsealResponse>(
      "Unseal", request, AdminClient::kUnsignedWhileSealed);
  explicit_bzero(request.mutable_share()->data(), request.share().size());
  if (!response) return response.error();
  if (global.json) {
    std::cout << to_json(*response) << "\n";
  } else if (response->sealed()) {
    std::cout << "Taken: " << response->shares_given() << " of " << response->shares_needed()
              << " shares\n";
  } else {
    std::cout << "The vault is open.\n";
  }
  return {};
}

}  // namespace

void add_unseal(CLI::App& app, Global& global, int& status) {
  auto* command = app.add_subcommand(
      "unseal", "Give your share of the root key; the vault opens when enough are given");
  command->footer(
      "The share is read from the terminal or standard input, never from the command line.\n"
      "Example:\n  strongroom unseal --credential operator.json");
  command->callback([&global, &status] {
    if (const auto done = run(global); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
