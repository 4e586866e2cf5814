// bench_fsync_floor DIR [SYNCS]
//
// What this disk takes to make 4 KiB durable: pwrite and fdatasync, over and over, into a file of
// zeros written beforehand, as the release log does it. Prints one JSON object. The file is
// unlinked before anything is written to it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using Steady = std::chrono::steady_clock;

constexpr size_t kBlock = 4096;
constexpr off_t kFileBytes = off_t{16} << 20;

bool fill(int fd) {
  static constexpr std::array<char, 65536> kZeros{};
  for (off_t at = 0; at < kFileBytes; at += static_cast<off_t>(kZeros.size())) {
    if (pwrite(fd, kZeros.data(), kZeros.size(), at) != static_cast<ssize_t>(kZeros.size())) {
      return false;
    }
  }
  return fsync(fd) == 0;
}

double percentile(const std::vector<double>& sorted, double percent) {
  return sorted[static_cast<size_t>(percent / 100 * static_cast<double>(sorted.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  const int syncs = argc > 2 ? static_cast<int>(std::strtol(argv[2], nullptr, 10)) : 2000;
  if (argc < 2 || argc > 3 || syncs < 1) {
    std::fprintf(stderr, "usage: bench_fsync_floor DIR [SYNCS]\n");
    return 2;
  }
  std::string path = std::string(argv[1]) + "/fsync_floor.XXXXXX";
  const int fd = mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0 || unlink(path.c_str()) != 0 || !fill(fd)) {
    std::perror("bench_fsync_floor");
    return 1;
  }
  std::array<char, kBlock> block;
  block.fill('x');
  std::vector<double> took_us;
  for (int i = 0; i < syncs; ++i) {
    const off_t at = static_cast<off_t>(static_cast<size_t>(i) * kBlock) % kFileBytes;
    const auto start = Steady::now();
    if (pwrite(fd, block.data(), block.size(), at) != static_cast<ssize_t>(block.size()) ||
        fdatasync(fd) != 0) {
      std::perror("bench_fsync_floor");
      return 1;
    }
    took_us.push_back(std::chrono::duration<double, std::micro>(Steady::now() - start).count());
  }
  std::sort(took_us.begin(), took_us.end());
  std::printf("{\"syncs\":%d,\"p50_us\":%.1f,\"p95_us\":%.1f,\"p99_us\":%.1f}\n", syncs,
              percentile(took_us, 50), percentile(took_us, 95), percentile(took_us, 99));
  return 0;
}
