#include <unistd.h>

#include <iostream>
#include <memory>

#include "strongroom/app/approval_view.h"
#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/base/bytes.h"
#include "strongroom/policy/approvals.h"

namespace strongroom::app {
namespace {

struct RequestsOptions {
  uint64_t id = 0;
  bool all = false;
  bool yes = false;
  bool deny = false;
};

std::string approved_of(const v1::ListRequestsResponse& listed, const v1::RequestView& view) {
  std::string out = std::to_string(view.approved_size()) + " of " + std::to_string(listed.needed());
  for (int i = 0; i < view.approved_size(); ++i) {
    out += (i == 0 ? ": " : ", ") + view.approved(i);
  }
  return out;
}

Result<void> list(const Global& global, const RequestsOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::ListRequestsRequest request;
  request.set_closed(options.all);
  SR_ASSIGN(const auto listed, (admin->call<v1::ListRequestsRequest, v1::ListRequestsResponse>(
                                   "ListRequests", request)));
  std::vector<std::vector<std::string>> rows{{"ID", "WHAT", "ASKED BY", "APPROVED", "STATE"}};
  std::string json = "{\"needed\":" + std::to_string(listed.needed()) + ",\"requests\":[";
  for (const auto& view : listed.requests()) {
    SR_ASSIGN(const ReadRequest read, read_request(credential, view));
    const std::string id = std::to_string(read.request.id());
    rows.push_back({id, summary_of(read.request), read.request.author(), approved_of(listed, view),
                    state_of(view)});
    json += (json.back() == '[' ? "" : ",") + std::string("{\"state\":") +
            json_string(state_of(view)) + ",\"approved\":" + std::to_string(view.approved_size()) +
            ",\"request\":" + to_json(read.request) + "}";
  }
  if (global.json) {
    std::cout << json << "]}\n";
  } else if (rows.size() == 1) {
    std::cout << (options.all ? "no requests\n" : "no open requests\n");
  } else {
    print_table(rows);
  }
  return {};
}

// Prints the request that is to be signed, in full.
Result<ReadRequest> show(const Global& global, const Credential& credential, AdminClient& admin,
                         uint64_t id) {
  v1::ListRequestsRequest request;
  request.set_id(id);
  SR_ASSIGN(const auto listed, (admin.call<v1::ListRequestsRequest, v1::ListRequestsResponse>(
                                   "ListRequests", request)));
  if (listed.requests_size() != 1) {
    return make_error(ErrorCode::kNotFound, "there is no such request; `requests` lists them");
  }
  SR_ASSIGN(ReadRequest read, read_request(credential, listed.requests(0)));
  if (read.request.id() != id) {
    return make_error(ErrorCode::kDataLoss,
                      "the key server answered with another request; nothing was signed");
  }
  if (global.json) return read;
  SR_ASSIGN(const auto policy,
            (admin.call<v1::ShowPolicyRequest, v1::ShowPolicyResponse>("ShowPolicy", {})));
  for (const auto& line : lines_of(read.request, policy.policy())) std::cout << line << "\n";
  std::cout << state_of(read.view) << ", approved by " << approved_of(listed, read.view) << "\n";
  return read;
}

Result<void> show_one(const Global& global, const RequestsOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const ReadRequest read, show(global, credential, *admin, options.id));
  if (global.json) std::cout << to_json(read.request) << "\n";
  return {};
}

Result<void> withdraw(const Global& global, const RequestsOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::WithdrawRequestRequest request;
  request.set_id(options.id);
  SR_ASSIGN(const auto response,
            (admin->call<v1::WithdrawRequestRequest, v1::WithdrawRequestResponse>("WithdrawRequest",
                                                                                  request)));
  std::cout << (global.json
                    ? to_json(response)
                    : "request " + std::to_string(options.id) + " is withdrawn, logged as entry " +
                          std::to_string(response.leaf()))
            << "\n";
  return {};
}

bool confirmed(const RequestsOptions& options) {
  if (options.yes) return true;
  if (isatty(STDIN_FILENO) != 1) return false;
  std::cout << (options.deny ? "Deny" : "Approve") << " exactly this? Type yes: " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "yes";
}

Result<void> sign(const Global& global, const RequestsOptions& options) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const ReadRequest read, show(global, credential, *admin, options.id));
  if (!confirmed(options)) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "nothing was signed: answer yes, or say --yes where nobody can be asked");
  }
  const auto decision = options.deny ? policy::Decision::kDeny : policy::Decision::kApprove;
  v1::SignRequestRequest request;
  request.set_id(options.id);
  request.set_deny(options.deny);
  request.set_signature(std::string(
      as_text(credential.key.sign(as_bytes(policy::approval_message(decision, read.bytes))))));
  SR_ASSIGN(const auto response,
            (admin->call<v1::SignRequestRequest, v1::SignRequestResponse>("SignRequest", request)));
  const v1::RequestView& view = response.request();
  if (global.json) {
    std::cout << "{\"state\":" << json_string(state_of(view))
              << ",\"approved\":" << view.approved_size() << ",\"leaf\":" << view.leaf() << "}\n";
  } else {
    std::cout << "request " << options.id << " is "
              << (view.state() == v1::RequestView::OPEN ? "approved by you, and still open"
                                                        : state_of(view))
              << ", logged as entry " << view.leaf() << "\n";
  }
  return {};
}

}  // namespace

void add_requests(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<RequestsOptions>();
  const auto run = runner(global, status, options);
  auto* requests = app.add_subcommand("requests", "What waits for several to sign");
  requests->add_flag("--all", options->all, "Those done, denied, withdrawn or expired lately, too");
  requests->footer("Example:\n  strongroom requests --credential approver1.json");
  requests->callback(run(list));

  auto* request = app.add_subcommand("request", "One request: show it, or take back your own");
  request->require_subcommand(1);
  request->footer("Example:\n  strongroom request show 3");
  auto* show_command = request->add_subcommand("show", "All that would be signed");
  show_command->add_option("ID", options->id)->required();
  show_command->footer("Example:\n  strongroom request show 3");
  show_command->callback(run(show_one));
  auto* withdraw_command = request->add_subcommand("withdraw", "Take back one's own");
  withdraw_command->add_option("ID", options->id)->required();
  withdraw_command->footer("Example:\n  strongroom request withdraw 3");
  withdraw_command->callback(run(withdraw));

  for (const bool deny : {false, true}) {
    auto* command = app.add_subcommand(deny ? "deny" : "approve",
                                       deny ? "Sign against a request; that closes it"
                                            : "Sign a request; with enough signatures it is done");
    command->add_option("ID", options->id)->required();
    command->add_flag("--yes", options->yes, "Do not ask");
    command->footer(deny
                        ? "Example:\n  strongroom deny 3 --credential approver1.json"
                        : "Shows exactly what is signed, and asks.\nExample:\n  strongroom approve "
                          "3 --credential approver1.json");
    command->callback([&global, &status, options, deny] {
      options->deny = deny;
      if (const auto done = sign(global, *options); !done) status = fail(global, done.error());
    });
  }
}

}  // namespace strongroom::app
