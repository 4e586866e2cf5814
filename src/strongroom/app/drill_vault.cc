#include "strongroom/app/drill_vault.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "strongroom/app/cli.h"
#include "strongroom/app/examples.h"
#include "strongroom/app/import.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/drill/live.h"
#include "strongroom/env/files.h"
#include "strongroom/rpc/yaml.h"
#include "strongroom/synth/writer.h"
#include "strongroom/v1/policy.pb.h"
#include "strongroom/v1/schema.pb.h"

namespace strongroom::app {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kNoLimit = 1'000'000'000'000;

Error no_process() {
  return make_error(ErrorCode::kUnavailable, "no process can be started");
}
Error disk_refused() {
  return make_error(ErrorCode::kUnavailable,
                    "the drill's folder cannot be written to: is the disk full?");
}

v1::Collection drill_collection(const v1::Collection& person) {
  v1::Collection out = person;
  out.set_name(kDrillCollection);
  out.set_id(kDrillCollectionId);
  uint32_t id = 0;
  std::string group;
  for (const auto& field : person.fields()) {
    id = std::max(id, field.id());
    if (field.name() == "national_id") group = field.group();
  }
  for (const char* name : {"surname", "region", "birth_year"}) {
    auto& field = *out.add_fields();
    field.set_id(++id);
    field.set_name(name);
    field.set_type(v1::TEXT);
    field.set_group(group);
    field.add_index(v1::EXACT);
  }
  return out;
}

// What a clerk may is not what this drill is about: budgets that thousands of searches fit in.
v1::Policy drill_policy(v1::Policy policy) {
  policy.clear_limits();
  for (auto& role : *policy.mutable_roles()) {
    const auto grants = role.grants();
    for (const auto& grant : grants) {
      if (grant.collection() != "person") continue;
      auto& more = *role.add_grants();
      more = grant;
      more.set_collection(kDrillCollection);
      more.set_records_per_query(drill::kAnswerMax);
      auto& budget = *more.mutable_budget();
      if (budget.writes_per_day() != 0) continue;
      budget.set_records_per_hour(kNoLimit);
      budget.set_records_per_day(kNoLimit);
      budget.set_searches_per_hour(kNoLimit);
      budget.set_searches_per_day(kNoLimit);
    }
  }
  return policy;
}

}  // namespace

DrillParts parts_of(uint64_t people) {
  // More at a time, and their index would come as sorted files, which have no order of writes.
  const uint64_t online = std::min<uint64_t>(people / 25, 400);
  return {people - people / 25 * 3, online, people / 25};
}

Result<DrillFolder> DrillFolder::make(const std::string& keep) {
  std::error_code failed;
  if (!keep.empty()) {
    if (fs::exists(keep, failed) && !fs::is_empty(keep, failed)) {
      return make_error(ErrorCode::kAlreadyExists, "--keep wants a folder that is new or empty");
    }
    SR_TRY(env::real_files().make_dirs(keep, 0700));
    return DrillFolder(keep, true);
  }
  const fs::path parent = fs::temp_directory_path(failed);
  if (failed) return disk_refused();
  std::string path = (parent / "strongroom-drill-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) return disk_refused();
  return DrillFolder(path, false);
}

DrillFolder::DrillFolder(DrillFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})), kept_(other.kept_) {}

DrillFolder::~DrillFolder() {
  std::error_code ignored;
  if (!path_.empty() && !kept_) fs::remove_all(path_, ignored);
}

Result<void> DrillChild::start(const std::vector<std::string>& arguments, bool ready_fd) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return no_process();
  const int inherited = ready_fd ? dup(ends[1]) : -1;  // Without close-on-exec.
  std::vector<std::string> all{"strongroom"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  if (ready_fd) {
    all.emplace_back("--ready-fd");
    all.push_back(std::to_string(inherited));
  }
  std::vector<char*> argv;
  for (auto& argument : all) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);
    const int nothing = open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0) _exit(127);
    if (!ready_fd && dup2(ends[1], STDOUT_FILENO) < 0) _exit(127);
    execv("/proc/self/exe", argv.data());
    _exit(127);
  }
  close(ends[1]);
  if (inherited >= 0) close(inherited);
  out_ = ends[0];
  return pid_ < 0 ? Result<void>(no_process()) : Result<void>();
}

Result<std::string> DrillChild::line() {
  std::string out;
  char byte = 0;
  for (;;) {
    const ssize_t got = read(out_, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return make_error(ErrorCode::kUnavailable,
                        "the drill's own vault did not start; it has said why");
    }
    if (byte == '\n') return out;
    out.push_back(byte);
  }
}

Result<std::string> DrillChild::finish() {
  std::string out;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(out_, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    out.append(buffer, static_cast<size_t>(got));
  }
  int wait_status = 0;
  while (waitpid(pid_, &wait_status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  end();
  if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0) {
    return make_error(ErrorCode::kUnavailable, "a command of the drill failed; it has said why");
  }
  return out;
}

void DrillChild::end() {
  if (pid_ > 0) {
    kill(pid_, SIGTERM);
    int wait_status = 0;
    while (waitpid(pid_, &wait_status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }
  if (out_ >= 0) close(out_);
  out_ = -1;
}

Result<void> DrillVault::run(std::vector<std::string> arguments, const char* who) const {
  if (who != nullptr) {
    arguments.emplace_back("--credential");
    arguments.push_back(credential(who));
  }
  DrillChild child;
  SR_TRY(child.start(arguments));
  SR_ASSIGN(const std::string said, child.finish());
  static_cast<void>(said);
  return {};
}

Result<void> DrillVault::found(const std::string& tpm) {
  // Its warning, that a development vault is for no real people, is right and would only confuse.
  std::vector<std::string> arguments{"init", path_, "--dev", "--name", "drill", "--json"};
  if (!tpm.empty()) arguments.insert(arguments.end(), {"--tpm", tpm, "--tpm-epochs"});
  return run(std::move(arguments), nullptr);
}

Result<void> DrillVault::serve(bool put_back) {
  std::vector<std::string> arguments{"serve", path_, "--listen", "127.0.0.1:0", "--json"};
  if (put_back) arguments.emplace_back("--accept-lost-writes");
  SR_TRY(server_.start(arguments));
  SR_ASSIGN(const std::string ready, server_.line());
  static_cast<void>(ready);
  return {};
}

Result<void> DrillVault::apply_rules() {
  v1::Collection person;
  SR_TRY(rpc::parse_yaml(kExampleCollections[0], person));
  v1::Policy policy;
  SR_TRY(rpc::parse_yaml(kExamplePolicy, policy));
  auto& files = env::real_files();
  const std::string collection_file = path_ + "/drill-collection.yaml";
  const std::string policy_file = path_ + "/drill-policy.yaml";
  SR_TRY(files.write_atomic(collection_file, as_bytes(rpc::to_yaml(drill_collection(person)))));
  SR_TRY(files.write_atomic(policy_file, as_bytes(rpc::to_yaml(drill_policy(policy)))));
  SR_TRY(run({"collection", "apply", collection_file}, "operator"));
  SR_TRY(run({"policy", "apply", policy_file}, "officer"));
  SR_TRY(run({"approve", "1", "--yes"}, "approver1"));
  return run({"approve", "1", "--yes"}, "approver2");
}

// Which record each of `people` became, where they are new.
Result<std::vector<uint64_t>> DrillVault::import(const std::vector<std::string>& columns,
                                                 std::span<const drill::Person> people,
                                                 const std::string& file) {
  std::string csv;
  synth::append_csv(columns, csv);
  for (const auto& person : people) synth::append_csv(person.values, csv);
  SR_TRY(env::real_files().write_atomic(file, as_bytes(csv)));
  std::vector<uint64_t> records;
  ImportJob job;
  job.collection = kDrillCollection;
  job.file = file;
  job.key = "national_id";
  job.report = false;
  job.on_place = [&](uint64_t row, uint64_t record) {
    records.resize(std::max<size_t>(records.size(), row), UINT64_MAX);
    records[row - 1] = record;
  };
  std::string about;
  Global global;
  global.credential = credential("operator");
  SR_TRY(run_import(global, job, &about));
  SR_TRY(env::real_files().remove(file));
  return records;
}

// The same, and the people are then in the order of their records: what is known of record n is
// what is known of the n-th of them.
Result<void> DrillVault::import_new(drill::Population& people, std::span<drill::Person> rows,
                                    uint64_t first, const std::string& file) {
  SR_ASSIGN(const auto records, import(people.columns(), rows, file));
  std::vector<drill::Person> by_record(rows.size());
  std::vector<bool> seen(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const uint64_t at = i < records.size() ? records[i] - first : rows.size();
    if (at >= rows.size() || seen[at]) {
      return make_error(ErrorCode::kInternal, "an import of the drill did not take every row");
    }
    seen[at] = true;
    by_record[at] = std::move(rows[i]);
  }
  std::move(by_record.begin(), by_record.end(), rows.begin());
  return {};
}

Result<void> DrillVault::fill(drill::Population& people, const DrillParts& parts,
                              const std::string& folder) {
  SR_TRY(apply_rules());
  const std::string file = folder + "/people.csv";
  auto& all = people.people();
  const std::span<drill::Person> rows(all);
  SR_TRY(import_new(people, rows.first(parts.bulk), 0, file));
  for (uint64_t at = parts.bulk; at < rows.size(); at += parts.online) {
    const auto some = rows.subspan(at, std::min<uint64_t>(parts.online, rows.size() - at));
    SR_TRY(import_new(people, some, at, file));
  }
  // Spread over the whole register; each takes the flat of another.
  std::vector<drill::Person> moved;
  for (uint64_t i = 0; i < parts.changed; ++i) {
    const uint64_t at = i * rows.size() / parts.changed;
    rows[at].values[drill::kAddress] =
        rows[(at * 7 + rows.size() / 2) % rows.size()].values[drill::kAddress] + "之二";
    moved.push_back(rows[at]);
  }
  for (size_t at = 0; at < moved.size(); at += parts.online) {
    const std::vector<drill::Person> some(
        moved.begin() + static_cast<ptrdiff_t>(at),
        moved.begin() + static_cast<ptrdiff_t>(std::min<size_t>(at + parts.online, moved.size())));
    SR_TRY(import(people.columns(), some, file));
  }
  return {};
}

Result<void> DrillVault::steal(const std::string& to) const {
  std::error_code failed;
  fs::remove_all(to, failed);
  fs::copy(VaultDir(path_).store(), to, fs::copy_options::recursive, failed);
  // A file that RocksDB has removed meanwhile is missed only if the copy does not open.
  if (failed && failed != std::errc::no_such_file_or_directory) return disk_refused();
  return {};
}

}  // namespace strongroom::app
