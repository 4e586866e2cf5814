#include "strongroom/app/progress.h"

#include <cstdio>

#include "strongroom/app/cli.h"
#include "strongroom/env/clock.h"

namespace strongroom::app {
namespace {

constexpr uint64_t kPeriodUs = 100'000;
constexpr size_t kBarWidth = 24;

std::string format_duration(uint64_t s) {
  if (s < 120) return std::to_string(s) + " s";
  if (s < 7200) return std::to_string(s / 60) + " min";
  return std::to_string(s / 3600) + " h";
}

}  // namespace

Progress::Progress(std::string unit, uint64_t total)
    : unit_(std::move(unit)),
      total_(total),
      started_us_(env::real_clock().monotonic_us()),
      terminal_(stderr_is_terminal()) {}

Progress::~Progress() {
  clear();
}

void Progress::clear() {
  if (terminal_ && printed_us_ != 0) std::fputs("\r\033[K", stderr);
  printed_us_ = 0;
}

void Progress::update(uint64_t done, uint64_t count, const std::string& note) {
  if (!terminal_) return;
  const uint64_t now = env::real_clock().monotonic_us();
  if (!any_) {
    any_ = true;
    first_done_ = done;
    first_count_ = count;
  }
  if (printed_us_ != 0 && now - printed_us_ < kPeriodUs) return;
  printed_us_ = now;
  const double elapsed_s = static_cast<double>(now - started_us_ + 1) / 1e6;
  const double rate = static_cast<double>(count - first_count_) / elapsed_s;
  std::string line = "\r\033[K";
  if (total_ > 0) {
    const uint64_t filled = std::min<uint64_t>(kBarWidth, done * kBarWidth / total_);
    for (uint64_t i = 0; i < kBarWidth; ++i) line += i < filled ? "\u2588" : "\u2591";
    line += " " + std::to_string(done * 100 / total_) + "%  ";
  }
  line +=
      format_count(count) + " " + unit_ + "  " + format_count(static_cast<uint64_t>(rate)) + "/s";
  if (total_ > 0 && done > first_done_ && elapsed_s > 1) {
    const double left_s = elapsed_s * static_cast<double>(total_ - std::min(total_, done)) /
                          static_cast<double>(done - first_done_);
    line += "  " + format_duration(static_cast<uint64_t>(left_s)) + " left";
  }
  if (!note.empty()) line += "  " + note;
  std::fputs(line.c_str(), stderr);
}

}  // namespace strongroom::app
