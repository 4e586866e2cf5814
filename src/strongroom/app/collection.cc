#include <iostream>
#include <memory>

#include "strongroom/app/approval_view.h"
#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/app/yaml_file.h"

namespace strongroom::app {
namespace {

Result<void> apply(const Global& global, const v1::Collection& collection,
                   const std::string& reason) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::ApplyCollectionRequest request;
  *request.mutable_collection() = collection;
  request.set_reason(reason);
  SR_ASSIGN(const auto response,
            (admin->call<v1::ApplyCollectionRequest, v1::ApplyCollectionResponse>("ApplyCollection",
                                                                                  request)));
  if (global.json) {
    std::cout << "{\"collection\":" << json_string(response.collection().name())
              << ",\"revision\":" << response.collection().revision()
              << ",\"changed\":" << (response.changed() ? "true" : "false")
              << ",\"request\":" << response.request() << "}\n";
  } else if (response.request() != 0) {
    std::cout << waits_for_approval(response.request());
  } else if (response.changed()) {
    std::cout << response.collection().name() << " is now at revision "
              << response.collection().revision() << ", logged as entry " << response.leaf()
              << "\n";
  } else {
    std::cout << response.collection().name() << " is like that already\n";
  }
  return {};
}

Result<void> list(const Global& global) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const auto listed,
            (admin->call<v1::ListCollectionsRequest, v1::ListCollectionsResponse>("ListCollections",
                                                                                  {})));
  if (global.json) {
    std::cout << to_json(listed) << "\n";
    return {};
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "ID", "FIELDS", "REVISION", "TITLE"}};
  for (const auto& c : listed.collections()) {
    rows.push_back({c.name(), std::to_string(c.id()), std::to_string(c.fields_size()),
                    std::to_string(c.revision()), c.title()});
  }
  print_table(rows);
  return {};
}

Result<void> show(const Global& global, const std::string& name) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const auto collection, admin->collection(name));
  std::cout << (global.json ? to_json(collection) + "\n" : rpc::to_yaml(collection));
  return {};
}

Result<void> renew(const Global& global, const std::string& name, const std::string& reason) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::RenewTermsRequest request;
  request.set_collection(name);
  request.set_reason(reason);
  SR_ASSIGN(const auto response,
            (admin->call<v1::RenewTermsRequest, v1::RenewTermsResponse>("RenewTerms", request)));
  std::cout << (global.json ? to_json(response) + "\n" : waits_for_approval(response.request()));
  return {};
}

}  // namespace

void add_collection(CLI::App& app, Global& global, int& status) {
  auto* command = app.add_subcommand("collection", "What records are made of");
  command->require_subcommand(1);
  command->footer("Example:\n  strongroom collection show person > person.yaml");
  auto text = std::make_shared<std::string>();
  auto* apply_command =
      command->add_subcommand("apply", "Add a collection, or change one compatibly");
  apply_command->add_option("FILE", *text, "YAML; examples/collections has some")->required();
  auto reason = std::make_shared<std::string>();
  apply_command->add_option("--reason", *reason, "Why, for those who approve a change");
  apply_command->footer(
      "Example:\n  strongroom collection apply person.yaml --credential operator.json");
  apply_command->callback([&global, &status, text, reason] {
    v1::Collection collection;
    status = read_yaml_file(global, *text, collection);
    if (status != kDone) return;
    if (const auto done = apply(global, collection, *reason); !done)
      status = fail(global, done.error(), *text);
  });
  auto renewed = std::make_shared<std::string>();
  auto* renew_command = command->add_subcommand(
      "renew-terms",
      "Ask to have all its terms made anew under a fresh key, as where K_q was stolen");
  renew_command->add_option("NAME", *renewed)->required();
  renew_command->add_option("--reason", *reason, "Why, for those who approve it");
  renew_command->footer(
      "Example:\n  strongroom collection renew-terms person --reason 'a gateway was stolen' "
      "--credential operator.json\nWhen several have approved it: strongroom reindex person.");
  renew_command->callback([&global, &status, renewed, reason] {
    if (const auto done = renew(global, *renewed, *reason); !done) {
      status = fail(global, done.error(), *renewed);
    }
  });
  auto* list_command = command->add_subcommand("list", "The collections there are");
  list_command->footer("Example:\n  strongroom collection list --credential operator.json");
  list_command->callback([&global, &status] {
    if (const auto done = list(global); !done) status = fail(global, done.error());
  });
  auto name = std::make_shared<std::string>();
  auto* show_command = command->add_subcommand("show", "A collection as YAML");
  show_command->add_option("NAME", *name)->required();
  show_command->footer(
      "Example:\n  strongroom collection show person --credential operator.json > person.yaml");
  show_command->callback([&global, &status, name] {
    if (const auto done = show(global, *name); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
