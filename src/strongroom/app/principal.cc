#include <iostream>
#include <memory>

#include "strongroom/app/approval_view.h"
#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/base/bytes.h"

namespace strongroom::app {
namespace {

struct PrincipalOptions {
  std::string name;
  std::string role;
  std::string unit;
  std::string public_key;
  std::string output;
  std::string reason;
};

Result<void> add(const Global& global, const PrincipalOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(const auto key, load_public_key(options.public_key));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::AddPrincipalRequest request;
  request.set_name(options.name);
  request.set_role(options.role);
  request.set_unit(options.unit);
  request.set_reason(options.reason);
  request.set_public_key(std::string(as_text(key)));
  SR_ASSIGN(const auto response, (admin->call<v1::AddPrincipalRequest, v1::AddPrincipalResponse>(
                                     "AddPrincipal", request)));
  if (!options.output.empty()) {
    const size_t slash = options.public_key.rfind('/');
    std::string key_file =
        slash == std::string::npos ? options.public_key : options.public_key.substr(slash + 1);
    if (key_file.ends_with(".pub")) key_file.resize(key_file.size() - 4);
    SR_TRY(save_credential(options.output, options.name, credential.connection, nullptr, key_file));
  }
  if (global.json) {
    std::cout << "{\"principal\":" << json_string(options.name)
              << ",\"request\":" << response.request() << "}\n";
  } else {
    std::cout << waits_for_approval(response.request());
    if (!options.output.empty()) {
      std::cout << options.output << " tells " << options.name
                << " where the vault is; it goes beside the key\n";
    }
  }
  return {};
}

Result<void> list_principals(const Global& global) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const auto listed, (admin->call<v1::ListPrincipalsRequest, v1::ListPrincipalsResponse>(
                                   "ListPrincipals", {})));
  if (global.json) {
    std::cout << to_json(listed) << "\n";
    return {};
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "ROLE", "STATE"}};
  for (const auto& p : listed.principals())
    rows.push_back({p.name(), p.role(), p.disabled() ? "disabled" : "active"});
  print_table(rows);
  return {};
}

Result<void> disable(const Global& global, const PrincipalOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::DisablePrincipalRequest request;
  request.set_name(options.name);
  SR_ASSIGN(const auto response,
            (admin->call<v1::DisablePrincipalRequest, v1::DisablePrincipalResponse>(
                "DisablePrincipal", request)));
  std::cout << (global.json ? "{\"leaf\":" + std::to_string(response.leaf()) + "}\n"
                            : options.name + " can do nothing any more, logged as entry " +
                                  std::to_string(response.leaf()) + "\n");
  return {};
}

Result<void> rekey(const Global& global, const PrincipalOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(const auto key, load_public_key(options.public_key));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::RekeyPrincipalRequest request;
  request.set_name(options.name);
  request.set_public_key(std::string(as_text(key)));
  request.set_reason(options.reason);
  SR_ASSIGN(const auto response,
            (admin->call<v1::RekeyPrincipalRequest, v1::RekeyPrincipalResponse>("RekeyPrincipal",
                                                                                request)));
  if (global.json) {
    std::cout << to_json(response) << "\n";
  } else if (response.request() != 0) {
    std::cout << options.name << "'s old key is worth nothing any more, logged as entry "
              << response.leaf() << ". The new one: " << waits_for_approval(response.request());
  } else {
    std::cout << options.name << " has a new key, the old one is worth nothing; logged as entry "
              << response.leaf() << "\n";
  }
  return {};
}

std::string words_of(const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : " ") + name;
  return out;
}

Result<void> review(const Global& global, const PrincipalOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::ReviewAccessRequest request;
  request.set_principal(options.name);
  SR_ASSIGN(const auto response, (admin->call<v1::ReviewAccessRequest, v1::ReviewAccessResponse>(
                                     "ReviewAccess", request)));
  if (global.json) {
    std::cout << to_json(response) << "\n";
    return {};
  }
  for (const auto& view : response.principals()) {
    const v1::Principal& p = view.principal();
    std::cout << p.name() << ", " << p.role() << (p.disabled() ? ", disabled" : "") << ", "
              << (view.last_used_ms() == 0 ? std::string("never used a record")
                                           : "last used " + format_time(view.last_used_ms()))
              << "\n";
    for (const int power : view.powers()) {
      std::cout << "  may " << v1::Power_Name(static_cast<v1::Power>(power)) << "\n";
    }
    for (const v1::Grant& grant : view.grants()) {
      std::string actions;
      for (const int action : grant.actions()) {
        actions += " " + v1::Action_Name(static_cast<v1::Action>(action));
      }
      std::cout << "  reaches " << grant.collection() << " for " << words_of(grant.purposes())
                << ":" << actions << "; groups " << words_of(grant.groups()) << "\n";
    }
    for (const auto& used : view.used()) {
      std::cout << "  in 90 days, " << used.collection() << " for " << used.purpose() << ": "
                << format_count(used.records()) << " records, " << format_count(used.searches())
                << " searches, " << format_count(used.writes()) << " writes\n";
    }
  }
  return {};
}

}  // namespace

void add_principal(CLI::App& app, Global& global, int& status) {
  auto* command = app.add_subcommand("principal", "People and programs that may ask");
  command->require_subcommand(1);
  command->footer("Example:\n  strongroom principal list --credential operator.json");
  auto options = std::make_shared<PrincipalOptions>();
  const auto run = runner(global, status, options);
  auto* add_command =
      command->add_subcommand("add", "Register someone by the public key they made");
  add_command->add_option("NAME", options->name)->required();
  add_command->add_option("--role", options->role, "A role of the policy")->required();
  add_command->add_option("--unit", options->unit,
                          "Where they work: told to people in records, if the policy says so");
  add_command->add_option("--public-key", options->public_key, "Their .pub file")->required();
  add_command->add_option("-o,--output", options->output,
                          "Write a credential file for them, without the key");
  add_command->add_option("--reason", options->reason, "Why, for those who approve it");
  add_command->footer(
      "Example:\n  strongroom principal add alice --role clerk --public-key alice.key.pub -o "
      "alice.json");
  add_command->callback(run(add));
  auto* list_command = command->add_subcommand("list", "All of them");
  list_command->footer("Example:\n  strongroom principal list --credential operator.json");
  list_command->callback([&global, &status] {
    if (const auto done = list_principals(global); !done) status = fail(global, done.error());
  });
  auto* disable_command = command->add_subcommand("disable", "From now on they can do nothing");
  disable_command->add_option("NAME", options->name)->required();
  disable_command->footer(
      "Example:\n  strongroom principal disable alice --credential operator.json");
  disable_command->callback(run(disable));
  auto* rekey_command = command->add_subcommand("rekey", "Replace a lost or stolen key");
  rekey_command->add_option("NAME", options->name)->required();
  rekey_command->add_option("--public-key", options->public_key, "The new .pub file")->required();
  rekey_command->add_option("--reason", options->reason, "Why, for those who approve it");
  rekey_command->footer(
      "Example:\n  strongroom principal rekey alice --public-key alice-2.key.pub --credential "
      "operator.json");
  rekey_command->callback(run(rekey));
  auto* review_command =
      command->add_subcommand("review", "Who can reach what, and what they used in 90 days");
  review_command->add_option("NAME", options->name, "Only this one");
  review_command->footer("Example:\n  strongroom principal review --credential auditor.json");
  review_command->callback(run(review));
}

}  // namespace strongroom::app
