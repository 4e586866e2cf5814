#include "strongroom/keyserver/counters.h"

#include <algorithm>
#include <atomic>

#include "strongroom/env/executor.h"
#include "strongroom/env/process.h"

namespace strongroom::keyserver {
namespace {

Error differs() {
  return make_error(
      ErrorCode::kDataLoss,
      "What was written down of the release log is not what the log says, so this server ends. It "
      "has been removed: start again, and the log itself is read. Report this; nothing was lost.");
}

uint64_t bytes_between(tlog::Position from, tlog::Position to) {
  constexpr uint64_t kSegment = uint64_t{64} << 20;  // About.
  const uint64_t a = from.segment * kSegment + from.offset;
  const uint64_t b = to.segment * kSegment + to.offset;
  return b - std::min(a, b);
}

}  // namespace

Result<const SealingKey*> BodyKeyCopies::key(uint32_t month) {
  const auto it = keys_.find(month);
  if (it != keys_.end()) return &it->second;
  return make_error(ErrorCode::kDataLoss,
                    "The key that seals a month of the release log is missing from the key state. "
                    "Restore state and log from one backup; do not delete anything.");
}

// What the thread works on, and nobody else until `done`.
struct Counters::Job {
  bool checks = false;
  bool urgent = false;
  uint64_t to = 0;
  Base base;
  BodyKeyCopies keys;
  std::atomic<bool> stop = false, done = false;
  std::atomic<uint64_t> at = 0;
  Result<void> result;
  Base made;
  std::unique_ptr<env::WorkerThread> thread;  // First to go.
};

Counters::Counters(CountersOptions options, env::Files& files)
    : options_(std::move(options)), files_(files) {}

Counters::~Counters() {
  if (job_ != nullptr) job_->stop = true;
}

std::string Counters::path(uint64_t leaf) const {
  return options_.dir + "/" + counters_name(leaf);
}

std::vector<uint64_t> Counters::list() const {
  std::vector<uint64_t> leaves;
  const auto names = files_.list(options_.dir);
  if (!names) return leaves;
  for (const std::string& name : *names) {
    if (const auto leaf = parse_counters_name(name)) leaves.push_back(*leaf);
  }
  std::sort(leaves.rbegin(), leaves.rend());
  return leaves;
}

Result<CountersFile> Counters::load(uint64_t leaf, tlog::BodyKeys& keys, tlog::LogPoint& point,
                                    Ledger& ledger) {
  return read_counters(files_, path(leaf), keys, leaf, point, ledger);
}

void Counters::relied_on(uint64_t leaf, tlog::Position at, const CountersFile& file,
                         const RequestKeys& request_keys) {
  base_ = {leaf, at, file, request_keys};
  unchecked_ = true;
}

uint64_t Counters::checked_to() const {
  return job_ != nullptr && job_->checks ? job_->at.load() : 0;
}

bool Counters::is_due(const Now& now) const {
  return now.leaf >= not_before_ && now.leaf - std::min(now.leaf, base_.leaf) >= options_.every &&
         bytes_between(base_.at, now.end) >= base_.file.size;
}

bool Counters::is_behind(const Now& now) const {
  return now.leaf - std::min(now.leaf, base_.leaf) >= 2 * options_.every &&
         bytes_between(base_.at, now.end) >= 2 * base_.file.size;
}

Result<std::optional<v1::CountersItem>> Counters::step(const Now& now,
                                                       const std::function<BodyKeyCopies()>& keys) {
  std::optional<v1::CountersItem> out;
  if (job_ == nullptr) {
    if (unchecked_ ? now.leaf < not_before_ : !is_due(now)) return out;
    auto job = std::make_unique<Job>();
    job->checks = unchecked_;
    job->urgent = !unchecked_ && is_behind(now);
    job->to = unchecked_ ? base_.leaf : now.leaf;
    job->base = base_;
    job->keys = keys();
    begin(std::move(job));
    return out;
  }
  if (!job_->done) return out;
  const auto job = std::move(job_);
  if (!job->result) {
    if (job->result.error().code == ErrorCode::kDataLoss) {
      remove_all_but({});
      return job->result.error();
    }
    // A disk that is full or cannot be read now: nothing depends on it.
    not_before_ = now.leaf + options_.every;
    return out;
  }
  if (job->checks) {
    unchecked_ = false;
    return out;
  }
  made_ = job->made;
  out.emplace();
  out->set_leaf(made_->leaf);
  out->set_size(made_->file.size);
  out->set_sha256(std::string(as_text(made_->file.sha256)));
  return out;
}

void Counters::logged(const v1::CountersItem& item) {
  if (!made_ || made_->leaf != item.leaf()) return;
  const uint64_t before = base_.leaf;
  base_ = *made_;
  made_.reset();
  remove_all_but({base_.leaf, before});
}

void Counters::wait() {
  while (job_ != nullptr && !job_->done) job_->done.wait(false);
}

void Counters::begin(std::unique_ptr<Job> job) {
  job_ = std::move(job);
  Job& work = *job_;
  work.thread = std::make_unique<env::WorkerThread>("counters");
  work.thread->post([this, &work] {
    if (!work.urgent) env::lower_priority();
    work.checks ? check(work) : make(work);
    work.done = true;
    work.done.notify_all();
  });
}

// Reads only options_ and files_ of this object, as check() does.
void Counters::make(Job& job) {
  job.result = [&]() -> Result<void> {
    auto ledger = std::make_unique<Ledger>(options_.vault, options_.gateways);
    tlog::LogPoint point;
    if (job.base.leaf != 0) {
      const auto file = load(job.base.leaf, job.keys, point, *ledger);
      if (!file || file->sha256 != job.base.file.sha256) {  // Gone bad since: all of the log, then.
        ledger = std::make_unique<Ledger>(options_.vault, options_.gateways);
        point = {};
      }
    }
    const tlog::TileSink no_tiles = [](const tlog::TileId&, std::string_view) {
      return Result<void>();
    };
    SR_TRY(tlog::read_log(
        files_, options_.log_dir, job.keys, job.to, no_tiles,
        [&](const tlog::Entry& entry) { return ledger->replay(entry); }, job.stop, point));
    SR_TRY(files_.make_dirs(options_.dir));
    const std::string to = path(point.leaf());
    auto written = write_counters(files_, to, job.keys, point, *ledger);
    if (!written) {
      static_cast<void>(files_.remove(to).has_value());
      return written.error();
    }
    job.made = {point.leaf(), point.at, *written, ledger->tickets().request_keys()};
    return {};
  }();
}

void Counters::check(Job& job) {
  job.result = [&]() -> Result<void> {
    Ledger ledger(options_.vault, options_.gateways);
    tlog::LogPoint point;
    ledger.tickets().set_request_keys(job.base.request_keys);
    tlog::TileFolder folder(files_, options_.log_dir);
    const tlog::TileSink compare = [&](const tlog::TileId& id,
                                       std::string_view bytes) -> Result<void> {
      return folder.matches(id, bytes) ? Result<void>() : folder.write(id, bytes);
    };
    SR_TRY(tlog::read_log(
        files_, options_.log_dir, job.keys, job.to, compare,
        [&](const tlog::Entry& entry) {
          job.at = entry.leaf.value;
          return ledger.replay(entry);
        },
        job.stop, point));
    return contents_of(point, ledger) == job.base.file.contents ? Result<void>() : differs();
  }();
}

void Counters::remove_all_but(std::initializer_list<uint64_t> kept) {
  for (const uint64_t leaf : list()) {
    if (std::find(kept.begin(), kept.end(), leaf) == kept.end()) {
      static_cast<void>(files_.remove(path(leaf)).has_value());
    }
  }
  if (kept.size() == 0) static_cast<void>(files_.sync_dir(options_.dir).has_value());
}

}  // namespace strongroom::keyserver
