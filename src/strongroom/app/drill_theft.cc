#include "strongroom/app/drill_theft.h"

#include <algorithm>
#include <iostream>
#include <memory>

#include "strongroom/sim/theft.h"

namespace strongroom::app {
namespace {

std::string duration(uint64_t ms) {
  const uint64_t s = ms / 1000;
  if (s < 120) return std::to_string(s) + " s";
  if (s < 7200) return std::to_string(s / 60) + " min";
  if (s < 172'800) return std::to_string(s / 3600) + " h";
  return std::to_string(s / 86'400) + " days";
}

void print_json(uint64_t seed, const std::vector<sim::Theft>& thefts, bool pass) {
  std::string out = "{\"drill\":\"theft\",\"seed\":" + std::to_string(seed) +
                    ",\"pass\":" + (pass ? "true" : "false") + ",\"thefts\":[";
  for (size_t i = 0; i < thefts.size(); ++i) {
    const auto& theft = thefts[i];
    out += std::string(i == 0 ? "" : ",") + "{\"name\":" + json_string(theft.name) +
           ",\"what\":" + json_string(theft.what) + ",\"lost\":" + std::to_string(theft.lost) +
           ",\"bound\":" + std::to_string(theft.bound) +
           ",\"bound_by\":" + json_string(theft.bound_by) +
           ",\"holds\":" + (theft.holds() ? "true" : "false") +
           ",\"duration_ms\":" + std::to_string(theft.duration_ms) + ",\"noticed_ms\":" +
           (theft.noticed_ms ? std::to_string(*theft.noticed_ms) : std::string("null")) +
           ",\"noticed_by\":" + json_string(theft.noticed_by) +
           ",\"cut\":" + (theft.cut ? "true" : "false") + "}";
  }
  std::cout << out << "]}\n";
}

void print_text(const std::vector<sim::Theft>& thefts, bool pass) {
  std::vector<std::vector<std::string>> table = {
      {"thief", "tries for", "records lost", "at most", "by", "noticed after", "by rule", "cut"}};
  for (const auto& theft : thefts) {
    table.push_back({theft.name, duration(theft.duration_ms), format_count(theft.lost),
                     format_count(theft.bound) + (theft.holds() ? "" : " EXCEEDED"), theft.bound_by,
                     theft.noticed_ms ? duration(*theft.noticed_ms) : "-",
                     theft.noticed_by.empty() ? "-" : theft.noticed_by, theft.cut ? "yes" : "-"});
  }
  print_table(table);
  std::cout << "\n"
            << (pass ? "PASS: no thief got more than could be computed beforehand\n"
                     : "FAIL: more left than the bound computed beforehand\n");
}

}  // namespace

void add_drill_theft(CLI::App& drill, Global& global, int& status) {
  auto seed = std::make_shared<uint64_t>(1);
  auto* theft = drill.add_subcommand(
      "theft", "What thieves get from the real key server, under a simulated clock");
  theft->add_option("--seed", *seed, "Other clerks, other thieves (1)");
  theft->footer("Examples:\n  strongroom drill theft\n  strongroom drill theft --seed 7 --json");
  theft->callback([&global, &status, seed] {
    const auto thefts = sim::simulate_thefts(*seed);
    if (!thefts) {
      status = fail(global, thefts.error());
      return;
    }
    const bool pass = std::all_of(thefts->begin(), thefts->end(),
                                  [](const auto& result) { return result.holds(); });
    if (global.json) {
      print_json(*seed, *thefts, pass);
    } else {
      print_text(*thefts, pass);
    }
    if (!pass) status = kFailed;
  });
}

}  // namespace strongroom::app
