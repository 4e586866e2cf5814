// What to look at in a policy: grants nobody used, who holds which power, the widest reach, and who
// decides on what. From what the key server says of it now and of the last 90 days.
#include <algorithm>
#include <iostream>
#include <map>
#include <set>
#include <tuple>

#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"

namespace strongroom::app {
namespace {

constexpr size_t kWidestShown = 5;

struct GrantUse {
  std::string role, purpose, collection, actions;
  uint64_t holders = 0;  // Enabled principals of the role.
  uint64_t records_day =
      0;              // That all of them together may open in a day, as far as the grant goes.
  uint64_t used = 0;  // Records, searches, writes, erasures and exports in 90 days.
};

struct Review {
  std::vector<GrantUse> grants;                            // In the policy's order.
  std::map<std::string, std::vector<std::string>> powers;  // Who holds which.
  std::vector<std::string> approvers;
  std::vector<std::string> asks_and_approves;
  std::vector<std::string> never_used;  // Principals with a grant.
  uint32_t approvals_needed = 0;
};

constexpr v1::Power kAsking[] = {v1::MANAGE_POLICY, v1::MANAGE_PRINCIPALS, v1::MANAGE_COLLECTIONS};

std::string actions_of(const v1::Grant& grant) {
  std::string out;
  for (const int action : grant.actions()) {
    out += (out.empty() ? "" : " ") + v1::Action_Name(static_cast<v1::Action>(action));
  }
  return out;
}

Review review_of(const v1::Policy& policy, const v1::ReviewAccessResponse& access,
                 const v1::ListRequestsResponse& requests) {
  Review out;
  out.approvals_needed = requests.needed();
  out.approvers = {requests.approvers().begin(), requests.approvers().end()};
  std::map<std::string, uint64_t> holders;
  std::map<std::tuple<std::string, std::string, std::string>, uint64_t> used;
  for (const v1::AccessView& view : access.principals()) {
    const v1::Principal& who = view.principal();
    for (const v1::QuarterLine& line : view.used()) {
      used[{who.role(), line.purpose(), line.collection()}] +=
          line.records() + line.searches() + line.writes() + line.erasures() + line.exported();
    }
    if (who.disabled()) continue;
    ++holders[who.role()];
    std::set<v1::Power> held;
    for (const int power : view.powers()) {
      held.insert(static_cast<v1::Power>(power));
      out.powers[v1::Power_Name(static_cast<v1::Power>(power))].push_back(who.name());
    }
    if (held.contains(v1::APPROVE) &&
        std::ranges::any_of(kAsking, [&](v1::Power power) { return held.contains(power); })) {
      out.asks_and_approves.push_back(who.name());
    }
    if (!view.grants().empty() && view.last_used_ms() == 0) out.never_used.push_back(who.name());
  }
  for (const v1::Role& role : policy.roles()) {
    for (const v1::Grant& grant : role.grants()) {
      const uint64_t each =
          std::max(grant.budget().records_per_day(), grant.budget().exported_per_day());
      for (const std::string& purpose : grant.purposes()) {
        out.grants.push_back({role.name(), purpose, grant.collection(), actions_of(grant),
                              holders[role.name()], each * holders[role.name()],
                              used[{role.name(), purpose, grant.collection()}]});
      }
    }
  }
  return out;
}

std::string words_of(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : " ") + name;
  return out.empty() ? "nobody" : out;
}

std::string json_of(const std::vector<std::string>& names) {
  std::string out = "[";
  for (const std::string& name : names) out += (out.size() == 1 ? "" : ",") + json_string(name);
  return out + "]";
}

std::string json_of(const Review& review) {
  std::string out = "{\"grants\":[";
  for (const GrantUse& grant : review.grants) {
    out += (out.back() == '[' ? "" : ",") + std::string("{\"role\":") + json_string(grant.role) +
           ",\"purpose\":" + json_string(grant.purpose) +
           ",\"collection\":" + json_string(grant.collection) +
           ",\"actions\":" + json_string(grant.actions) +
           ",\"holders\":" + std::to_string(grant.holders) +
           ",\"records_day\":" + std::to_string(grant.records_day) +
           ",\"used\":" + std::to_string(grant.used) + "}";
  }
  out += "],\"powers\":{";
  for (const auto& [power, names] : review.powers) {
    out += (out.back() == '{' ? "" : ",") + json_string(power) + ":" + json_of(names);
  }
  return out + "},\"approvals_needed\":" + std::to_string(review.approvals_needed) +
         ",\"approvers\":" + json_of(review.approvers) +
         ",\"asks_and_approves\":" + json_of(review.asks_and_approves) +
         ",\"never_used\":" + json_of(review.never_used) + "}";
}

void print(const Review& review) {
  std::cout << "grants that nobody used in 90 days, which could go:\n";
  bool any = false;
  for (const GrantUse& grant : review.grants) {
    if (grant.used != 0) continue;
    any = true;
    std::cout << "  " << grant.role << " for " << grant.purpose << " on " << grant.collection
              << ": " << grant.actions << (grant.holders == 0 ? "; nobody holds the role" : "")
              << "\n";
  }
  if (!any) std::cout << "  none\n";
  std::cout << "principals who never used a grant of theirs: " << words_of(review.never_used)
            << "\nwidest reach, records a day by all who hold the role:\n";
  std::vector<GrantUse> widest = review.grants;
  std::ranges::stable_sort(widest, std::greater(), &GrantUse::records_day);
  widest.resize(std::min(widest.size(), kWidestShown));
  for (const GrantUse& grant : widest) {
    if (grant.records_day == 0) continue;
    std::cout << "  " << grant.role << " for " << grant.purpose << " on " << grant.collection
              << ": " << format_count(grant.records_day) << " by " << format_count(grant.holders)
              << "\n";
  }
  std::cout << "powers:\n";
  for (const auto& [power, names] : review.powers) {
    std::cout << "  " << power << ": " << words_of(names) << "\n";
  }
  std::cout << "what widens access, exports and thaws take " << review.approvals_needed
            << " of: " << words_of(review.approvers) << ", never the one who asks\n";
  if (!review.asks_and_approves.empty()) {
    std::cout << "! may ask for changes and approve those of others: "
              << words_of(review.asks_and_approves) << "\n";
  }
}

Result<void> review(const Global& global) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const auto access,
            (admin->call<v1::ReviewAccessRequest, v1::ReviewAccessResponse>("ReviewAccess", {})));
  SR_ASSIGN(const auto policy,
            (admin->call<v1::ShowPolicyRequest, v1::ShowPolicyResponse>("ShowPolicy", {})));
  SR_ASSIGN(const auto requests,
            (admin->call<v1::ListRequestsRequest, v1::ListRequestsResponse>("ListRequests", {})));
  const Review review = review_of(policy.policy(), access, requests);
  if (global.json) {
    std::cout << json_of(review) << "\n";
  } else {
    print(review);
  }
  return {};
}

}  // namespace

void add_policy_review(CLI::App& policy, Global& global, int& status) {
  auto* command = policy.add_subcommand(
      "review", "What nobody used in 90 days, the widest reach, and who approves what");
  command->footer("Example:\n  strongroom policy review --credential auditor.json");
  command->callback([&global, &status] {
    if (const auto done = review(global); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
