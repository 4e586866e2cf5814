// `report breach`: what the release log says of a leak, as a notification to an authority and to
// the people in it needs it (GDPR 33, 34; PIPL 57). Facts alone: what they mean is for people.
#include <algorithm>
#include <array>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "strongroom/app/cli.h"
#include "strongroom/app/log_reader.h"
#include "strongroom/app/log_view.h"
#include "strongroom/v1/log.pb.h"

namespace strongroom::app {
namespace {

struct ReportOptions {
  std::string since, until, principal, gateway, purpose, collection;
};

struct Period {
  uint64_t first_ms = 0, last_ms = 0;
  void add(uint64_t t_ms) {
    if (first_ms == 0) first_ms = t_ms;
    last_ms = t_ms;
  }
};

struct CollectionFacts {
  std::unordered_map<uint64_t, uint32_t> groups_of;  // By record: every group that was opened.
  uint64_t releases = 0, searches = 0, changed = 0, erased = 0;
};

// What happened to the vault around it, as `log tail` says it.
struct Happening {
  uint64_t leaf = 0, t_ms = 0;
  std::string what;
};

class Breach {
 public:
  Breach(const ReportOptions& options, uint64_t since_ms, uint64_t until_ms)
      : options_(options), since_ms_(since_ms), until_ms_(until_ms) {}

  Result<void> step(const v1::LogEntryView& entry) {
    ++entries_;
    std::vector<v1::LogItem> items(static_cast<size_t>(entry.items_size()));
    for (int i = 0; i < entry.items_size(); ++i) {
      if (!items[static_cast<size_t>(i)].ParseFromString(entry.items(i))) {
        return make_error(ErrorCode::kDataLoss,
                          "this entry of the log is of another version (the number is its leaf)",
                          static_cast<int64_t>(entry.leaf()));
      }
      // Names and groups are those of the time.
      if (items[static_cast<size_t>(i)].has_collection()) {
        const auto& definition = items[static_cast<size_t>(i)].collection();
        collections_[definition.id()] = definition;
      }
    }
    if (items.empty()) return {};
    if (items[0].has_ticket()) {
      take(entry, items);
    } else if (period_.first_ms != 0 && is_measure(items)) {
      measures_.push_back({entry.leaf(), entry.t_ms(), describe_entry(entry)});
    }
    for (const v1::LogItem& item : items) {
      if (item.has_alarm() && !item.alarm().test() && concerns(item.alarm()) &&
          in_time(entry.t_ms())) {
        alarms_.push_back({entry.leaf(), entry.t_ms(), describe_entry(entry)});
        break;
      }
    }
    return {};
  }

  void print(const Global& global) const;

 private:
  bool in_time(uint64_t t_ms) const { return t_ms >= since_ms_ && t_ms <= until_ms_; }
  std::string name_of(uint32_t collection) const {
    const auto it = collections_.find(collection);
    return it == collections_.end() ? std::to_string(collection) : it->second.name();
  }
  bool concerns(const v1::AlarmItem& alarm) const {
    return (options_.principal.empty() || alarm.principal() == options_.principal) &&
           (options_.gateway.empty() || alarm.gateway() == options_.gateway);
  }
  static bool is_measure(const std::vector<v1::LogItem>& items) {
    return std::any_of(items.begin(), items.end(), [](const v1::LogItem& item) {
      return item.has_freeze() || (item.has_principal() && !item.author().empty()) ||
             item.has_policy() || item.has_seal() ||
             (item.has_root() && item.root().step() == v1::RootItem::CHANGED);
    });
  }
  void take(const v1::LogEntryView& entry, const std::vector<v1::LogItem>& items) {
    const v1::TicketItem& ticket = items[0].ticket();
    if (!in_time(entry.t_ms()) ||
        (!options_.principal.empty() && ticket.principal() != options_.principal) ||
        (!options_.gateway.empty() && ticket.gateway() != options_.gateway) ||
        (!options_.purpose.empty() && ticket.purpose() != options_.purpose) ||
        (!options_.collection.empty() && name_of(ticket.collection()) != options_.collection)) {
      return;
    }
    CollectionFacts& facts = facts_[ticket.collection()];
    period_.add(entry.t_ms());
    principals_.insert(ticket.principal());
    purposes_.insert(ticket.purpose());
    if (!ticket.gateway().empty()) gateways_.insert(ticket.gateway());
    if (entry.type() == "token") facts.searches += ticket.charge();
    if (entry.type() == "grant") facts.changed += ticket.charge();
    if (entry.type() == "erasure") facts.erased += ticket.charge();
    for (const v1::LogItem& item : items) {
      if (!item.has_release()) continue;
      ++facts.releases;
      facts.groups_of[item.release().idx()] |= item.release().groups();
    }
  }
  // How many records each group was opened of, by its name.
  std::map<std::string, uint64_t> groups(uint32_t collection, const CollectionFacts& facts) const {
    std::map<std::string, uint64_t> out;
    const auto definition = collections_.find(collection);
    for (const auto& [idx, groups] : facts.groups_of) {
      if ((groups & 1) != 0) ++out["masked view"];
      for (uint32_t g = 1; g < 32; ++g) {
        if ((groups >> g & 1) == 0) continue;
        std::string name = "group " + std::to_string(g);
        if (definition != collections_.end()) {
          for (const auto& group : definition->second.groups()) {
            if (group.id() == g) name = group.name();
          }
        }
        ++out[name];
      }
    }
    return out;
  }
  std::string fields(uint32_t collection, const std::string& group) const {
    std::string out;
    const auto definition = collections_.find(collection);
    if (definition == collections_.end()) return out;
    for (const auto& field : definition->second.fields()) {
      if (field.group() == group) out += (out.empty() ? "" : ", ") + field.name();
    }
    return out;
  }

  const ReportOptions& options_;
  const uint64_t since_ms_, until_ms_;
  uint64_t entries_ = 0;
  Period period_;
  std::map<uint32_t, v1::Collection> collections_;
  std::map<uint32_t, CollectionFacts> facts_;
  std::set<std::string> principals_, purposes_, gateways_;
  std::vector<Happening> alarms_, measures_;
};

std::string list(const std::set<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + printable(name);
  return out.empty() ? "-" : out;
}

std::string json_list(const std::set<std::string>& names) {
  std::string out = "[";
  for (const auto& name : names) out += (out.size() == 1 ? "" : ",") + json_string(name);
  return out + "]";
}

std::string json_list(const std::vector<Happening>& all) {
  std::string out = "[";
  for (const auto& one : all) {
    out += (out.size() == 1 ? "" : ",");
    out += "{\"leaf\":" + std::to_string(one.leaf) + ",\"t_ms\":" + std::to_string(one.t_ms) +
           ",\"what\":" + json_string(one.what) + "}";
  }
  return out + "]";
}

void print_all(const char* head, const std::vector<Happening>& all, const char* none) {
  std::cout << head << "\n";
  for (const auto& one : all) {
    std::cout << "  " << format_time(one.t_ms) << "  entry "
              << pad_right(std::to_string(one.leaf), 8) << printable(one.what) << "\n";
  }
  if (all.empty()) std::cout << "  " << none << "\n";
}

void Breach::print(const Global& global) const {
  if (global.json) {
    std::string out = "{\"entries\":" + std::to_string(entries_) +
                      ",\"first_ms\":" + std::to_string(period_.first_ms) +
                      ",\"last_ms\":" + std::to_string(period_.last_ms) +
                      ",\"principals\":" + json_list(principals_) +
                      ",\"gateways\":" + json_list(gateways_) +
                      ",\"purposes\":" + json_list(purposes_) + ",\"collections\":[";
    bool first = true;
    for (const auto& [id, facts] : facts_) {
      out += (first ? "" : ",");
      out += "{\"collection\":" + json_string(name_of(id)) +
             ",\"records\":" + std::to_string(facts.groups_of.size()) +
             ",\"releases\":" + std::to_string(facts.releases) +
             ",\"searches\":" + std::to_string(facts.searches) +
             ",\"changed\":" + std::to_string(facts.changed) +
             ",\"erased\":" + std::to_string(facts.erased) + ",\"categories\":[";
      first = false;
      bool first_group = true;
      for (const auto& [name, records] : groups(id, facts)) {
        out += (first_group ? "" : ",");
        out += "{\"group\":" + json_string(name) + ",\"fields\":" + json_string(fields(id, name)) +
               ",\"records\":" + std::to_string(records) + "}";
        first_group = false;
      }
      out += "]}";
    }
    std::cout << out << "],\"alarms\":" << json_list(alarms_)
              << ",\"measures\":" << json_list(measures_) << "}\n";
    return;
  }
  if (facts_.empty()) {
    std::cout << "nothing in the log fits: " << format_count(entries_) << " entries were read\n";
    return;
  }
  std::cout << "from        " << format_time(period_.first_ms) << "\n"
            << "to          " << format_time(period_.last_ms) << "\n"
            << "under       " << list(principals_) << "\n"
            << "through     " << list(gateways_) << "\n"
            << "purposes    " << list(purposes_) << "\n\n";
  std::vector<std::vector<std::string>> table = {
      {"collection", "category", "fields", "records opened"}};
  for (const auto& [id, facts] : facts_) {
    for (const auto& [name, records] : groups(id, facts)) {
      table.push_back({name_of(id), name, fields(id, name), format_count(records)});
    }
    table.push_back({name_of(id), "all", "", format_count(facts.groups_of.size())});
  }
  print_table(table);
  for (const auto& [id, facts] : facts_) {
    std::cout << "  " << name_of(id) << ": " << format_count(facts.releases) << " releases, "
              << format_count(facts.searches) << " searches, " << format_count(facts.changed)
              << " records written, " << format_count(facts.erased) << " erased\n";
  }
  std::cout << "A person may have several records: no more people than records are concerned.\n\n";
  print_all("What was noticed", alarms_, "no alarm concerns them");
  print_all("Measures taken since", measures_, "none that the log knows of");
  std::cout << "Each line can be proven to others: `strongroom log prove ENTRY`.\n";
}

Result<void> run(const Global& global, const ReportOptions& options) {
  const auto since = options.since.empty() ? 0 : parse_time(options.since);
  const auto until = options.until.empty() ? UINT64_MAX : parse_time(options.until);
  if (!since || !until) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a time is written as 2026-11-22 or \"2026-11-22 15:03\", in UTC");
  }
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  Breach breach(options, *since, *until);
  SR_TRY(read_log(*admin, 0, [&](const v1::LogEntryView& entry) { return breach.step(entry); }));
  breach.print(global);
  return {};
}

}  // namespace

void add_report(CLI::App& app, Global& global, int& status) {
  auto* command = app.add_subcommand("report", "Facts from the release log for others");
  command->require_subcommand(1);
  command->footer(
      "Example:\n  strongroom report breach --since 2026-11-20 --credential auditor.json");
  auto options = std::make_shared<ReportOptions>();
  auto* breach = command->add_subcommand(
      "breach", "What left, of whom, when, by whose credential, and what was done about it");
  breach->add_option("--principal", options->principal, "Under this credential");
  breach->add_option("--gateway", options->gateway, "Through this gateway");
  breach->add_option("--purpose", options->purpose, "For this purpose");
  breach->add_option("--collection", options->collection, "Of this collection");
  breach->add_option("--since", options->since, "From this time on, UTC");
  breach->add_option("--until", options->until, "Up to this time, UTC");
  breach->footer(
      "Examples:\n  strongroom report breach --principal clerk --since 2026-11-20 "
      "--credential auditor.json\n  strongroom report breach --gateway gateway-1 --since "
      "\"2026-11-20 03:00\" --json");
  breach->callback([&global, &status, options] {
    if (const auto done = run(global, *options); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
