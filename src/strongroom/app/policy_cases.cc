// `policy test`: cases from a file, decided as the key server would, without one.
#include <iostream>
#include <map>
#include <memory>

#include "strongroom/app/cli.h"
#include "strongroom/app/policy_replay.h"
#include "strongroom/app/yaml_file.h"
#include "strongroom/base/durations.h"
#include "strongroom/policy/engine.h"
#include "strongroom/v1/policycases.pb.h"

namespace strongroom::app {
namespace {

constexpr uint64_t kMonday = 1'700'438'400'000;  // A Monday's midnight, UTC.

struct PolicyCasesOptions {
  std::string cases;
  std::string policy;
  std::vector<std::string> collections;
  std::string replay;
};

// "mon 09:30" as milliseconds of a week, or nothing.
std::optional<uint64_t> parse_at(std::string_view at) {
  constexpr std::string_view kDays[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
  if (at.size() != 9 || at[3] != ' ') return std::nullopt;
  const auto day = std::find(std::begin(kDays), std::end(kDays), at.substr(0, 3));
  // As hours that end at that time.
  const google::protobuf::RepeatedPtrField<std::string> every_day;
  const auto until = policy::parse_opening("00:00-" + std::string(at.substr(4)), every_day, 0);
  if (day == std::end(kDays)) return std::nullopt;
  const uint64_t minutes = at.substr(4) == "00:00" ? 0 : until ? until->to_min : UINT64_MAX;
  if (minutes == UINT64_MAX) return std::nullopt;
  return static_cast<uint64_t>(day - std::begin(kDays)) * 24 * 60 * kMinuteMs + minutes * kMinuteMs;
}

policy::Amounts amounts_of(const v1::PolicyCase& of) {
  policy::Amounts out{.records = of.records(),
                      .searches = of.searches(),
                      .writes = of.writes(),
                      .erasures = of.erasures()};
  if (out.records + out.searches + out.writes + out.erasures != 0) return out;
  if (of.action() == v1::IMPORT || of.action() == v1::UPDATE) {
    out.writes = 1;
  } else if (of.action() == v1::ERASE) {
    out.erasures = 1;
  } else if (of.action() == v1::GET || !of.groups().empty()) {
    out.records = 1;
  } else {
    out.searches = 1;
  }
  return out;
}

class Cases {
 public:
  Cases(std::vector<v1::Collection> collections, int32_t offset_min)
      : collections_(std::move(collections)), now_(kMonday), offset_min_(offset_min) {}
  policy::Engine& engine() { return engine_; }

  // What is wrong with the case itself; nothing: it was decided.
  const char* decide(const v1::PolicyCase& of, std::string& said) {
    const auto collection =
        std::find_if(collections_.begin(), collections_.end(),
                     [&](const v1::Collection& c) { return c.name() == of.collection(); });
    if (collection == collections_.end()) return "names no collection of these";
    if (!of.at().empty()) {
      const auto at = parse_at(of.at());
      if (!at) return "has a time that is not as in \"mon 09:30\"";
      const uint64_t t = kMonday + *at - static_cast<uint64_t>(int64_t{offset_min_} * 60'000);
      if (t < now_) return "goes back in time";
      now_ = t;
    }
    const std::string name = of.principal().empty() ? "somebody" : of.principal();
    v1::Principal principal;
    principal.set_name(name);
    principal.set_role(of.role());
    engine_.set_principal(principal, 1);
    const policy::Scope scope{policy::Scope::Kind::kPrincipal, name};
    if (of.frozen()) {
      engine_.freezes().add(scope, {});
    } else {
      engine_.freezes().remove(scope);
    }
    policy::Ask ask;
    ask.principal = name;
    ask.purpose = of.purpose();
    ask.case_reference = of.case_reference();
    ask.gateway = of.gateway();
    ask.collection = CollectionId{collection->id()};
    ask.action = of.action();
    ask.amounts = amounts_of(of);
    if (!of.from().empty()) {
      ask.from = parse_ip(of.from());
      if (!ask.from) return "comes from what is not an IP address";
    }
    for (const std::string& group : of.groups()) {
      uint32_t bit = group == "masked" ? 1u << policy::kMaskedGroup : 0;
      for (const v1::Group& g : collection->groups()) {
        if (g.name() == group) bit = 1u << g.id();
      }
      if (bit == 0) return "names a group that the collection does not have";
      ask.groups |= bit;
    }
    const auto decided = engine_.decide(ask, now_);
    said = decided ? "allowed" : decided.error().text;
    if (decided) {
      engine_.charge({ask.principal, ask.purpose, ask.gateway, ask.collection, ask.amounts}, now_);
    }
    return nullptr;
  }

 private:
  std::vector<v1::Collection> collections_;
  policy::Engine engine_;
  uint64_t now_;
  int32_t offset_min_;
};

int run(const Global& global, const PolicyCasesOptions& options) {
  v1::PolicyCases cases;
  v1::Policy policy;
  if (const int status = read_yaml_file(global, options.cases, cases); status != kDone) {
    return status;
  }
  if (const int status = read_yaml_file(global, options.policy, policy); status != kDone) {
    return status;
  }
  std::vector<v1::Collection> collections;
  for (const auto& path : options.collections) {
    if (const int status = read_yaml_file(global, path, collections.emplace_back());
        status != kDone) {
      return status;
    }
  }
  Cases tested(collections, policy::parse_utc_offset(policy.utc_offset()).value_or(0));
  policy::Problem problem;
  if (const auto set = tested.engine().set_policy(policy, collections, &problem); !set) {
    return fail(global, set.error(), options.policy + ": " + problem.path);
  }
  int failed = 0;
  std::string json;
  for (const auto& of : cases.cases()) {
    std::string said;
    if (const char* wrong = tested.decide(of, said)) {
      return fail(global, make_error(ErrorCode::kInvalidArgument, wrong),
                  options.cases + ": " + of.name());
    }
    const bool as_expected = of.expect() == "allowed"
                                 ? said == "allowed"
                                 : !of.expect().empty() && said.find(of.expect()) != said.npos;
    failed += as_expected ? 0 : 1;
    if (global.json) {
      json += (json.empty() ? "" : ",") + std::string("{\"name\":") + json_string(of.name()) +
              ",\"said\":" + json_string(said) + ",\"ok\":" + (as_expected ? "true" : "false") +
              "}";
    } else {
      std::cout << (as_expected ? "ok    " : "FAIL  ") << printable(of.name()) << ": " << said
                << (as_expected ? "" : " - expected: " + printable(of.expect())) << "\n";
    }
  }
  if (global.json) std::cout << "{\"failed\":" << failed << ",\"cases\":[" << json << "]}\n";
  return failed == 0 ? kDone : kFailed;
}

int replay(const Global& global, const std::string& file) {
  v1::Policy policy;
  if (const int status = read_yaml_file(global, file, policy); status != kDone) return status;
  const auto done = replay_watch(global, policy);
  return done ? kDone : fail(global, done.error(), file);
}

}  // namespace

void add_policy_test(CLI::App& policy, Global& global, int& status) {
  auto options = std::make_shared<PolicyCasesOptions>();
  auto* command = policy.add_subcommand("test", "Decide cases from a file, without a server");
  command->add_option("CASES", options->cases, "YAML; examples/policies/cases.yaml is one");
  command->add_option("--policy", options->policy, "The policy's YAML");
  command->add_option("--collection", options->collections, "A collection's YAML; one for each");
  command->add_option(
      "--replay", options->replay,
      "In place of cases: what the watch rules of this policy's YAML would have said "
      "to the log of a vault, beside what was said");
  command->footer(
      "Example:\n  strongroom policy test examples/policies/cases.yaml --policy "
      "examples/policies/example.yaml \\\n    --collection examples/collections/person.yaml\n  "
      "strongroom policy test "
      "--replay policy.yaml --credential auditor.json");
  command->callback([&global, &status, options] {
    const bool cases =
        !options->cases.empty() && !options->policy.empty() && !options->collections.empty();
    if (cases == !options->replay.empty()) {
      status = usage(
          "either CASES with --policy and --collection, or --replay FILE; see "
          "`strongroom policy test --help`");
    } else {
      status = cases ? run(global, *options) : replay(global, options->replay);
    }
  });
}

}  // namespace strongroom::app
