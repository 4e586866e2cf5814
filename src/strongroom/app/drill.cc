// `strongroom drill`: attacks on the program's own promises, with the result as a number.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <numeric>
#include <unordered_map>

#include "strongroom/app/cli.h"
#include "strongroom/app/drill_erasure.h"
#include "strongroom/app/drill_live.h"
#include "strongroom/app/drill_theft.h"
#include "strongroom/app/drill_vault.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/drill/frequency.h"
#include "strongroom/drill/snapshot.h"
#include "strongroom/env/clock.h"

namespace strongroom::app {
namespace {

using drill::Attribute;
using drill::Label;
using drill::Value;

// The promise: within this of the modal guess, as a share of the records.
constexpr double kBound = 0.01;
constexpr uint64_t kRecordsMin = 5000;  // Fewer, and a score's own noise is as large as the bound.
constexpr int kCopiesMax = 5;
constexpr uint64_t kAlikeMin = 50;

struct DrillOptions {
  uint64_t records = 50'000;
  uint64_t seed = 1;
  uint64_t queries = 10'000;
  std::string sorted;
  std::string keep;
};

struct Tried {
  std::string attack;
  double score;
};
struct AttributeResult {
  Attribute attribute;
  size_t values;
  bool bounded;  // Whether the promise is about it.
  double modal;
  double blind_rank, blind_assignment;
  std::vector<Tried> ours;  // Best first.
  // A mean hides that a few may be known well: of the records that look alike, at least kAlikeMin
  // of them, those of which most are guessed right.
  double sharpest;
  uint64_t sharpest_records;
  double best() const { return ours.front().score; }
  bool holds() const { return best() <= modal + kBound; }
};

struct Outcome {
  drill::Snapshot seen;
  std::vector<AttributeResult> attributes;
  std::vector<LivePoint> live;
  bool whole = false;  // Whether the copy had every record.
  double seconds = 0;
  bool pass() const {
    return whole && seen.postings_repeated == 0 &&
           std::all_of(attributes.begin(), attributes.end(),
                       [](const auto& a) { return !a.bounded || a.holds(); });
  }
};

// A column as a table with deterministic blind indexes has it: HMAC of the value, equality visible.
std::vector<Label> blind_column(const drill::Population& people, Attribute attribute,
                                uint64_t seed) {
  // Secret from nobody: so that a run can be repeated, values that are as frequent as each other
  // included.
  const std::string key = "drill " + std::to_string(seed);
  crypto::Hmac hmac(as_bytes(key));
  std::vector<Label> out;
  out.reserve(people.people().size());
  for (const auto& person : people.people()) {
    const auto mac = hmac({as_bytes(drill::attribute_of(person, attribute))});
    out.push_back(load_be<uint64_t>(mac.data()) >> 1);
  }
  return out;
}

void find_sharpest(std::span<const Label> labels, std::span<const Value> guesses,
                   std::span<const Value> truth, AttributeResult& out) {
  std::unordered_map<Label, std::pair<uint64_t, uint64_t>> alike;  // All, and right ones.
  for (size_t i = 0; i < labels.size(); ++i) {
    auto& [all, right] = alike[labels[i]];
    ++all;
    right += guesses[i] == truth[i] ? 1 : 0;
  }
  for (const auto& [label, counts] : alike) {
    const auto& [all, right] = counts;
    const double score = static_cast<double>(right) / static_cast<double>(all);
    if (all < kAlikeMin || score <= out.sharpest) continue;
    out.sharpest = score;
    out.sharpest_records = all;
  }
}

class Attacks {
 public:
  Attacks(const drill::Snapshot& seen, const drill::Snapshot& own)
      : seen_(seen),
        labellings_(drill::label_records(seen)),
        comparable_(drill::label_comparable(seen)),
        own_comparable_(drill::label_comparable(own)) {}

  AttributeResult run(Attribute attribute, const drill::Population& people,
                      const drill::Population& others, drill::Dictionary& dictionary,
                      uint64_t seed) const {
    const auto truth = people.attribute(attribute, dictionary);
    const auto sample = others.attribute(attribute, dictionary);
    const auto table = drill::make_table(sample, dictionary.size(attribute));
    const auto score = [&](const std::vector<Value>& guesses) {
      return static_cast<double>(drill::count_right(guesses, truth)) /
             static_cast<double>(truth.size());
    };
    AttributeResult out{};
    out.attribute = attribute;
    out.values = dictionary.size(attribute);
    out.bounded = attribute != Attribute::kProvince;
    out.modal = score(std::vector<Value>(truth.size(), table.modal()));
    const auto blind = blind_column(people, attribute, seed);
    out.blind_rank = score(drill::match_by_rank(blind, table));
    out.blind_assignment = score(drill::match_by_assignment(blind, table));

    for (const auto& labelling : labellings_) {
      out.ours.push_back(
          {"rank: " + labelling.name, score(drill::match_by_rank(labelling.labels, table))});
      out.ours.push_back({"assignment: " + labelling.name,
                          score(drill::match_by_assignment(labelling.labels, table))});
    }
    const auto by_example = drill::match_by_example(own_comparable_, sample, comparable_, table);
    out.ours.push_back({"what records of a vault of one's own look like", score(by_example)});
    find_sharpest(comparable_, by_example, truth, out);
    const auto order = dictionary.order(attribute);
    std::vector<uint64_t> up, down, written;
    for (const auto& record : seen_.records) {
      up.push_back(record.idx);
      down.push_back(UINT64_MAX - record.idx);
      written.push_back(record.u);
    }
    out.ours.push_back({"order of record numbers", score(drill::match_by_order(up, table, order))});
    out.ours.push_back(
        {"order of record numbers, backwards", score(drill::match_by_order(down, table, order))});
    out.ours.push_back({"order of writing", score(drill::match_by_order(written, table, order))});
    std::stable_sort(out.ours.begin(), out.ours.end(),
                     [](const Tried& a, const Tried& b) { return a.score > b.score; });
    return out;
  }

 private:
  const drill::Snapshot& seen_;
  std::vector<drill::Labelling> labellings_;
  std::vector<Label> comparable_, own_comparable_;
};

// As thieves do it: copies what lies there while the vault runs; a copy that does not open is made
// again.
Result<drill::Snapshot> steal(const DrillVault& vault, const std::string& to) {
  for (int copy = 1;; ++copy) {
    SR_TRY(vault.steal(to));
    auto seen = drill::read_snapshot(to);
    if (seen || copy == kCopiesMax) return seen;
  }
}

void sort_people(drill::Population& people, size_t column) {
  auto& all = people.people();
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    return a.values[column] < b.values[column];
  });
}

Result<Outcome> run(const DrillOptions& options) {
  const uint64_t started_us = env::real_clock().monotonic_us();
  SR_ASSIGN(const DrillFolder folder, DrillFolder::make(options.keep));
  drill::Population people(options.records, options.seed);
  // Everybody else's people: what is public about surnames, regions and years is counted over them,
  // never over the people of the vault.
  drill::Population others(options.records, options.seed + 1'000'003);
  if (!options.sorted.empty()) {
    const auto& columns = people.columns();
    const auto column = std::find(columns.begin(), columns.end(), options.sorted);
    sort_people(people, static_cast<size_t>(column - columns.begin()));
  }
  const DrillParts parts = parts_of(options.records);

  // The attacker has the program too, and has tried it on people it knows all about.
  const auto fill_and_steal = [&](DrillVault& vault, drill::Population& who,
                                  const std::string& copy) -> Result<drill::Snapshot> {
    SR_TRY(vault.found());
    SR_TRY(vault.serve());
    SR_TRY(vault.fill(who, parts, folder.path()));
    return steal(vault, copy);
  };
  DrillVault own(folder.path() + "/attackers-own");
  SR_ASSIGN(const drill::Snapshot example, fill_and_steal(own, others, folder.path() + "/example"));
  own.stop();
  DrillVault vault(folder.path() + "/vault");
  Outcome out;
  SR_ASSIGN(out.seen, fill_and_steal(vault, people, folder.path() + "/stolen"));
  vault.stop();

  // The n-th record is the n-th person's: fill() put them in the order of their records. The live
  // part checks that.
  out.whole =
      out.seen.records.size() == options.records && example.records.size() == options.records;
  if (!out.whole) return out;
  drill::Dictionary dictionary;
  for (const auto attribute :
       {Attribute::kSurname, Attribute::kRegion, Attribute::kBirthYear, Attribute::kProvince}) {
    // All numbers first, so that tables know every value there is.
    people.attribute(attribute, dictionary);
    others.attribute(attribute, dictionary);
  }
  const Attacks attacks(out.seen, example);
  for (const auto attribute :
       {Attribute::kSurname, Attribute::kRegion, Attribute::kBirthYear, Attribute::kProvince}) {
    out.attributes.push_back(attacks.run(attribute, people, others, dictionary, options.seed));
  }

  if (options.queries > 0) {
    std::vector<uint64_t> idx_of, checkpoints;
    for (const auto& record : out.seen.records) idx_of.push_back(record.idx);
    for (uint64_t at = 100; at < options.queries; at *= 10) checkpoints.push_back(at);
    checkpoints.push_back(options.queries);
    SR_ASSIGN(out.live, watch_queries(vault, people, others, idx_of, options.seed, checkpoints));
  }
  out.seconds = static_cast<double>(env::real_clock().monotonic_us() - started_us) / 1e6;
  return out;
}

std::string percent(double share) {
  char text[16];
  snprintf(text, sizeof text, "%.2f %%", share * 100);
  return text;
}
std::string number(double x) {
  char text[24];
  snprintf(text, sizeof text, "%.6f", x);
  return text;
}
double share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}
uint64_t rows_of(double score, const Outcome& outcome) {
  return static_cast<uint64_t>(
      std::llround(score * static_cast<double>(outcome.seen.records.size())));
}

struct LaneSums {
  uint64_t lanes = 0, ingested = 0, singles = 0, tails = 0, blocks = 0, large = 0;
};
LaneSums sum_lanes(const drill::Snapshot& seen) {
  LaneSums out;
  for (const auto& [id, lane] : seen.lanes) {
    ++out.lanes;
    out.ingested += lane.ingested ? 1 : 0;
    out.singles += lane.singles;
    out.tails += lane.tails;
    out.blocks += lane.blocks;
    out.large += lane.large;
  }
  return out;
}
uint64_t linked(const drill::Snapshot& seen) {
  return static_cast<uint64_t>(std::count_if(seen.records.begin(), seen.records.end(),
                                             [](const auto& r) { return r.postings > 0; }));
}
uint64_t changed(const drill::Snapshot& seen) {
  return static_cast<uint64_t>(std::count_if(seen.records.begin(), seen.records.end(),
                                             [](const auto& r) { return r.versions > 1; }));
}

template <class Map, class Key>
std::string json_counts(const Map& counts, const Key& key) {
  std::string out = "[";
  for (const auto& [what, count] : counts) {
    out += (out.size() > 1 ? "," : "") + std::string("[") + key(what) + "," +
           std::to_string(count) + "]";
  }
  return out + "]";
}
std::string sizes_text(const std::vector<uint32_t>& sizes) {
  std::string out;
  for (const uint32_t size : sizes) out += (out.empty() ? "" : "+") + std::to_string(size);
  return out;
}

void print_json(const DrillOptions& options, const Outcome& outcome) {
  const auto& seen = outcome.seen;
  const LaneSums lanes = sum_lanes(seen);
  std::string out =
      "{\"drill\":\"snapshot\",\"records\":" + std::to_string(options.records) +
      ",\"seed\":" + std::to_string(options.seed) + ",\"sorted\":" + json_string(options.sorted) +
      ",\"bound\":" + number(kBound) + ",\"pass\":" + (outcome.pass() ? "true" : "false") +
      ",\"seconds\":" + number(outcome.seconds) +
      ",\"seen\":{\"records\":" + std::to_string(seen.records.size()) +
      ",\"records_changed\":" + std::to_string(changed(seen)) +
      ",\"records_linked_to_postings\":" + std::to_string(linked(seen)) +
      ",\"old_versions\":" + std::to_string(seen.old_versions) +
      ",\"unique_rows\":" + std::to_string(seen.unique_rows) +
      ",\"meta_rows\":" + std::to_string(seen.meta_rows) +
      ",\"lanes\":" + std::to_string(lanes.lanes) +
      ",\"lanes_in_bulk\":" + std::to_string(lanes.ingested) +
      ",\"postings_small\":" + std::to_string(lanes.singles) +
      ",\"postings_tails\":" + std::to_string(lanes.tails) +
      ",\"postings_blocks\":" + std::to_string(lanes.blocks) +
      ",\"postings_large_blocks\":" + std::to_string(lanes.large) +
      ",\"postings_repeated\":" + std::to_string(seen.postings_repeated) +
      ",\"postings_per_write\":" +
      json_counts(seen.postings_per_write, [](uint32_t n) { return std::to_string(n); }) +
      ",\"size_classes\":" +
      json_counts(seen.size_classes,
                  [](const auto& sizes) { return json_string(sizes_text(sizes)); }) +
      "},\"attributes\":[";
  for (size_t i = 0; i < outcome.attributes.size(); ++i) {
    const auto& a = outcome.attributes[i];
    out += std::string(i == 0 ? "" : ",") +
           "{\"attribute\":" + json_string(drill::attribute_name(a.attribute)) +
           ",\"values\":" + std::to_string(a.values) +
           ",\"bounded\":" + (a.bounded ? "true" : "false") +
           ",\"holds\":" + (a.holds() ? "true" : "false") + ",\"modal\":" + number(a.modal) +
           ",\"ours\":" + number(a.best()) +
           ",\"ours_rows\":" + std::to_string(rows_of(a.best(), outcome)) +
           ",\"sharpest\":" + number(a.sharpest) +
           ",\"sharpest_records\":" + std::to_string(a.sharpest_records) +
           ",\"blind_rank\":" + number(a.blind_rank) +
           ",\"blind_assignment\":" + number(a.blind_assignment) + ",\"blind_rows\":" +
           std::to_string(rows_of(std::max(a.blind_rank, a.blind_assignment), outcome)) +
           ",\"tried\":[";
    for (size_t t = 0; t < a.ours.size(); ++t) {
      out += std::string(t == 0 ? "" : ",") + "{\"attack\":" + json_string(a.ours[t].attack) +
             ",\"score\":" + number(a.ours[t].score) + "}";
    }
    out += "]}";
  }
  out += "],\"live\":[";
  for (size_t i = 0; i < outcome.live.size(); ++i) {
    const auto& l = outcome.live[i].learned;
    out += std::string(i == 0 ? "" : ",") + "{\"queries\":" + std::to_string(l.queries) +
           ",\"values\":" + std::to_string(l.values) +
           ",\"patterns\":" + std::to_string(l.patterns) +
           ",\"records_touched\":" + std::to_string(l.records) +
           ",\"queries_by_modal\":" + std::to_string(l.by_modal) +
           ",\"queries_by_statistics\":" + std::to_string(l.by_statistics) +
           ",\"surname_queries\":" + std::to_string(l.surnames) +
           ",\"surname_queries_by_statistics\":" + std::to_string(l.surnames_by_statistics) +
           ",\"queries_by_register\":" + std::to_string(l.by_register) +
           ",\"records_by_statistics\":" + std::to_string(l.records_by_statistics) +
           ",\"records_by_register\":" + std::to_string(l.records_by_register) +
           ",\"records_checked\":" + std::to_string(outcome.live[i].records_checked) + "}";
  }
  std::cout << out << "]}" << std::endl;
}

void print_text(const DrillOptions& options, const Outcome& outcome) {
  const auto& seen = outcome.seen;
  const LaneSums lanes = sum_lanes(seen);
  std::cout << "A thief copied the store of " << format_count(options.records)
            << " invented people while it ran, write-ahead log and all, and has no key.\n\n"
            << "What the copy tells:\n"
            << "  records        " << format_count(seen.records.size())
            << ", which is right; in the order of their chunks; " << format_count(changed(seen))
            << " seen to have changed\n"
            << "  sizes          " << seen.size_classes.size() << " classes: ";
  std::vector<std::pair<uint64_t, std::string>> classes;
  for (const auto& [sizes, count] : seen.size_classes) {
    classes.emplace_back(count, sizes_text(sizes));
  }
  std::sort(classes.rbegin(), classes.rend());
  for (size_t i = 0; i < classes.size() && i < 5; ++i) {
    std::cout << (i == 0 ? "" : ", ") << classes[i].second << " B ("
              << format_count(classes[i].first) << ")";
  }
  std::cout << (classes.size() > 5 ? ", ..." : "") << "\n  index          "
            << format_count(lanes.singles) << " rows of 16 B, " << format_count(lanes.tails)
            << " of 256 B, " << format_count(lanes.blocks) << " of 1 KiB, "
            << format_count(lanes.large) << " of 4 KiB, in " << lanes.lanes << " lanes; "
            << seen.postings_repeated << " labels or values come twice\n  online writes  ";
  for (const auto& [rows, writes] : seen.postings_per_write) {
    std::cout << format_count(writes) << " of " << rows << " index rows, ";
  }
  std::cout << format_count(linked(seen)) << " of them linked to their record\n\n";

  if (!outcome.attributes.empty()) {
    std::cout
        << "Records whose value the thief guesses right, by the best of "
        << outcome.attributes.front().ours.size()
        << " attacks; public tables from other people.\nBeside it the same on HMAC columns of "
           "the same people (deterministic blind index):\n\n";
    std::vector<std::vector<std::string>> table{{"", "values", "modal guess", "strongroom", "",
                                                 "HMAC, by rank", "by assignment", "rows",
                                                 "best known"}};
    for (const auto& a : outcome.attributes) {
      const double blind = std::max(a.blind_rank, a.blind_assignment);
      table.push_back(
          {drill::attribute_name(a.attribute), format_count(a.values), percent(a.modal),
           percent(a.best()), a.holds() ? "as guessing" : (a.bounded ? "LEAKS" : "more"),
           percent(a.blind_rank), percent(a.blind_assignment),
           format_count(rows_of(a.best(), outcome)) + " : " + format_count(rows_of(blind, outcome)),
           percent(a.sharpest) + " of " + format_count(a.sharpest_records)});
    }
    print_table(table);
    std::cout
        << "  rows: strongroom : HMAC. Best known: of the records that look alike, those guessed "
           "best, and how many.\n";
    for (const auto& a : outcome.attributes) {
      if (!a.holds()) {
        std::cout << "  " << drill::attribute_name(a.attribute) << ": "
                  << percent(a.best() - a.modal)
                  << " of all records above guessing, by: " << a.ours.front().attack
                  << (a.bounded ? "" : " (outside the bound)") << "\n";
      }
    }
  }
  if (!outcome.live.empty()) {
    std::cout << "\nSomebody who watches the live store, as whoever runs its disk can, sees which "
                 "rows each query reads.\nQueries whose value it then knows, and records of which "
                 "it knows a value:\n\n";
    std::vector<std::vector<std::string>> table{{"queries", "different", "with statistics",
                                                 "of surnames", "with the register", "records read",
                                                 "known by statistics", "by the register"}};
    for (const auto& point : outcome.live) {
      const auto& l = point.learned;
      table.push_back({format_count(l.queries), format_count(l.values),
                       percent(share(l.by_statistics, l.queries)),
                       percent(share(l.surnames_by_statistics, l.surnames)),
                       percent(share(l.by_register, l.queries)), format_count(l.records),
                       percent(share(l.records_by_statistics, l.records)),
                       percent(share(l.records_by_register, l.records))});
    }
    print_table(table);
    std::cout << "  with statistics: it knows how common values are. With the register: it has the "
                 "same people in clear from elsewhere.\n";
  }
  std::cout << "\n"
            << (outcome.pass() ? "PASS" : "FAIL")
            << ": from the copy, surname, region and birth year are "
            << (outcome.pass() ? "" : "NOT ") << "within one point of the modal guess. "
            << std::lround(outcome.seconds) << " s\n";
}

}  // namespace

void add_drill(CLI::App& app, Global& global, int& status) {
  auto* command = app.add_subcommand("drill", "Attack a vault of its own, and say what came of it");
  command->require_subcommand(1);
  command->footer(
      "Example:\n  strongroom drill snapshot --records 50000\n  strongroom drill theft\n  "
      "strongroom drill erasure");
  add_drill_theft(*command, global, status);
  add_drill_erasure(*command, global, status);
  auto options = std::make_shared<DrillOptions>();
  auto* snapshot = command->add_subcommand(
      "snapshot", "What a stolen copy of the store tells, and what watching it tells");
  snapshot->add_option("--records", options->records, "Invented people (50,000)")
      ->check(CLI::Range(kRecordsMin, uint64_t{2'000'000}));
  snapshot->add_option("--seed", options->seed, "Other people (1)");
  snapshot
      ->add_option("--queries", options->queries,
                   "Searches the observer of the live store sees; 0: leave that out (10,000)")
      ->check(CLI::Range(uint64_t{0}, uint64_t{1'000'000}));
  snapshot
      ->add_option("--sorted", options->sorted,
                   "Import a file in the order of this column: shows what order gives away")
      ->check(CLI::IsMember({"name", "national_id", "phone", "dob", "address"}));
  snapshot->add_option("--keep", options->keep, "Leave vault and copy in this folder");
  snapshot->footer(
      "Examples:\n  strongroom drill snapshot\n  strongroom drill snapshot --records 200000 --seed "
      "7 --json");
  snapshot->callback([&global, &status, options] {
    if (options->queries > 0 && options->queries < 100) options->queries = 100;
    const auto outcome = run(*options);
    if (!outcome) {
      status = fail(global, outcome.error());
      return;
    }
    if (global.json) {
      print_json(*options, *outcome);
    } else {
      print_text(*options, *outcome);
    }
    if (!outcome->pass()) status = kFailed;
  });
}

}  // namespace strongroom::app
