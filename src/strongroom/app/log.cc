#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/app/log_export.h"
#include "strongroom/app/log_proofs.h"
#include "strongroom/app/log_view.h"
#include "strongroom/app/progress.h"
#include "strongroom/env/files.h"
#include "strongroom/tlog/release_log.h"

namespace strongroom::app {
namespace {

constexpr uint64_t kTileBytesMax = uint64_t{32} << 20;

constexpr uint32_t kFollowCount = 1000;
constexpr std::chrono::milliseconds kFollowEvery{500};

void print_entry(const Global& global, const v1::LogEntryView& entry) {
  if (global.json) {
    std::cout << entry_json(entry) << std::endl;
    return;
  }
  std::cout << pad_right(std::to_string(entry.leaf()), 9) << format_time(entry.t_ms()) << "  "
            << pad_right(entry.type(), 9) << describe_entry(entry) << std::endl;
}

Result<void> tail(const Global& global, uint32_t count, bool follow) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  v1::LogEntriesRequest request;
  request.set_first(UINT64_MAX);  // Answers with the size alone.
  SR_ASSIGN(auto response,
            (admin->call<v1::LogEntriesRequest, v1::LogEntriesResponse>("LogEntries", request)));
  request.set_first(response.size() > count ? response.size() - count : 0);
  request.set_count(count);
  // An answer is limited in bytes, so large entries come in several.
  std::vector<v1::LogEntryView> entries;
  while (entries.size() < count) {
    SR_ASSIGN(response,
              (admin->call<v1::LogEntriesRequest, v1::LogEntriesResponse>("LogEntries", request)));
    if (response.entries().empty()) break;
    for (auto& entry : *response.mutable_entries()) entries.push_back(std::move(entry));
    request.set_first(entries.back().leaf() + 1);
    request.set_count(static_cast<uint32_t>(
        std::max<size_t>(1, count - std::min<size_t>(count, entries.size()))));
  }
  if (global.json && !follow) {
    std::string out = "{\"size\":" + std::to_string(response.size()) + ",\"entries\":[";
    for (size_t i = 0; i < entries.size(); ++i) out += (i == 0 ? "" : ",") + entry_json(entries[i]);
    std::cout << out << "]}\n";
    return {};
  }
  for (const auto& entry : entries) print_entry(global, entry);
  if (!follow) return {};
  uint64_t next = entries.empty() ? response.size() : entries.back().leaf() + 1;
  for (;;) {
    request.set_first(next);
    request.set_count(kFollowCount);
    SR_ASSIGN(response,
              (admin->call<v1::LogEntriesRequest, v1::LogEntriesResponse>("LogEntries", request)));
    for (const auto& entry : response.entries()) {
      print_entry(global, entry);
      next = entry.leaf() + 1;
    }
    if (!std::cout) return {};  // Whoever read it is gone.
    if (next >= response.size()) std::this_thread::sleep_for(kFollowEvery);
  }
}

Result<void> checkpoint(const Global& global) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const auto response, (admin->call<v1::LogCheckpointRequest, v1::LogCheckpointResponse>(
                                     "LogCheckpoint", {})));
  SR_ASSIGN(const tlog::LogKeys keys, admin->log_keys());
  const std::string verifier = keys.newest_key().text();
  if (global.json) {
    std::cout << "{\"note\":" << json_string(response.note())
              << ",\"verifier_key\":" << json_string(verifier) << "}\n";
  } else {
    std::cout << response.note();
    std::cerr << "\nverifier key, for tools that are not ours: " << verifier << "\n";
  }
  return {};
}

Result<void> verify(const Global& global, const std::string& folder) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  std::unique_ptr<AdminClient> admin;
  tlog::TileReader read;
  if (folder.empty()) {
    SR_ASSIGN(admin, AdminClient::connect(credential));
    // The checkpoint first and once: what grows behind it meanwhile is another checkpoint's.
    read = log_tiles(*admin);
  } else {
    read = [&](std::string_view path) {
      return env::real_files().read(folder + "/" + std::string(path), kTileBytesMax);
    };
  }
  Progress progress("entries", 0);
  const auto report = tlog::verify_log(
      read, log_key_of(credential), [&](uint64_t done, uint64_t) { progress.update(done, done); });
  progress.clear();
  if (!report) return report.error();
  if (global.json) {
    std::cout << "{\"verified\":true,\"size\":" << report->checkpoint.size
              << ",\"root\":" << json_string(to_hex(report->checkpoint.root)) << "}\n";
    return {};
  }
  std::cout << "verified: " << format_count(report->entries)
            << " entries fit the signed checkpoint\n"
            << "  root  " << to_hex(report->checkpoint.root) << "\n"
            << "  from  " << format_time(report->first_t_ms) << " to "
            << format_time(report->last_t_ms) << "\n";
  for (size_t type = 0; type < std::size(report->by_type); ++type) {
    if (report->by_type[type] == 0) continue;
    std::cout << "  " << pad_right(tlog::entry_type_name(static_cast<tlog::EntryType>(type)), 10)
              << format_count(report->by_type[type]) << "\n";
  }
  return {};
}

}  // namespace

void add_log(CLI::App& app, Global& global, int& status) {
  auto* command = app.add_subcommand("log", "The release log: what left, to whom, why");
  command->require_subcommand(1);
  command->footer("Example:\n  strongroom log tail -n 50 --credential auditor.json");
  auto count = std::make_shared<uint32_t>(20);
  auto* tail_command = command->add_subcommand("tail", "The last entries");
  tail_command->add_option("-n", *count, "How many (20)")->check(CLI::Range(1, 1000));
  tail_command->footer("Example:\n  strongroom log tail -n 50 --credential auditor.json");
  auto follow = std::make_shared<bool>(false);
  tail_command->add_flag("-f,--follow", *follow,
                         "Go on with what comes; with --json a document on each line");
  tail_command->callback([&global, &status, count, follow] {
    if (const auto done = tail(global, *count, *follow); !done) status = fail(global, done.error());
  });
  auto* checkpoint_command =
      command->add_subcommand("checkpoint", "The signed tree head, as C2SP tlog-checkpoint");
  checkpoint_command->footer("Example:\n  strongroom log checkpoint --credential auditor.json");
  checkpoint_command->callback([&global, &status] {
    if (const auto done = checkpoint(global); !done) status = fail(global, done.error());
  });
  add_log_proofs(*command, global, status);
  add_log_key(*command, global, status);
  add_log_export(*command, global, status);
  auto folder = std::make_shared<std::string>();
  auto* verify_command = command->add_subcommand(
      "verify", "Recompute the whole tree and compare it with its checkpoint");
  verify_command->add_option("FOLDER", *folder,
                             "A copy of the log's files; without it they are fetched");
  verify_command->footer(
      "Examples:\n  strongroom log verify --credential auditor.json\n"
      "  strongroom log verify /mnt/copy/keyserver/log --credential auditor.json");
  verify_command->callback([&global, &status, folder] {
    if (const auto done = verify(global, *folder); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
