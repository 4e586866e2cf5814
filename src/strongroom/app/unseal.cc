#include <iostream>
#include <memory>

#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/app/hidden_input.h"
#include "strongroom/crypto/shamir.h"
#include "strongroom/keyserver/unseal.h"
#include "strongroom/rpc/interned.h"

namespace strongroom::app {
namespace {

// What a sealed vault says of a share, unsigned: that it is still sealed, or a refusal. A refusal
// is ours to word: why the text is no share we know ourselves, and else one of a few is believed.
std::optional<Result<void>> said_while_sealed(const rpc::HttpReply& reply,
                                              const std::string& share) {
  if (reply.status == 200) {
    if (!AdminClient::says_sealed<v1::UnsealResponse>(reply)) return std::nullopt;
    return Result<void>();
  }
  const Error said = rpc::error_of(reply);
  for (const Error& known : keyserver::kShareRefusals) {
    if (said.code != known.code || std::string_view(said.text) != known.text) continue;
    const std::string text = std::string(known.text) + " (" + kNotVerified + ")";
    return Result<void>(make_error(known.code, rpc::intern_text(text)));
  }
  if (const auto parsed = crypto::parse_share(share); !parsed) return Result<void>(parsed.error());
  return std::nullopt;
}

Result<void> unseal(const Global& global) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::UnsealRequest request;
  *request.mutable_share() = read_hidden("Your share: ");
  bool verified = true;
  auto response = admin->call<v1::UnsealRequest, v1::UnsealResponse>(
      "Unseal", request, [&](const rpc::HttpReply& reply) {
        verified = false;
        return said_while_sealed(reply, request.share());
      });
  explicit_bzero(request.mutable_share()->data(), request.share().size());
  if (!response) return response.error();
  if (global.json) {
    std::cout << "{\"verified\":" << (verified ? "true," : "false,") << to_json(*response).substr(1)
              << "\n";
  } else if (response->sealed()) {
    std::cout << "Taken: " << response->shares_given() << " of " << response->shares_needed()
              << " shares\n";
    if (!verified) std::cerr << kNotVerified << "\n";
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
    if (const auto done = unseal(global); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
