// The first byte picks: a file as a disk might hold it, or contents behind a sound seal.
#include "strongroom/base/archive.h"
#include "strongroom/keyserver/counters.h"
#include "strongroom/keyserver/counters_file.h"
#include "strongroom/keyserver/test_vault.h"

using namespace strongroom;
using namespace strongroom::keyserver;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Bytes input(data + 1, size - 1);
  tlog::LogPoint point;
  Ledger ledger({}, {kGateway});
  if (data[0] % 4 == 0) {
    static const TempDir kDir;
    static BodyKeyCopies& keys = *new BodyKeyCopies;
    keys.add(0, SealingKey());
    const std::string path = kDir.path() + "/file";
    auto& files = env::real_files();
    SR_CHECK(files.write_atomic(path, input).has_value(), "a file");
    (void)read_counters(files, path, keys, 0, point, ledger);
    return 0;
  }
  bool given = false;
  ArchiveReader reader([&]() -> Result<std::string> {
    if (std::exchange(given, true)) return std::string();
    return std::string(as_text(input));
  });
  reader(point, ledger);
  // What was read is written, read and written again, the same.
  if (!reader.finish()) return 0;
  const auto contents = contents_of(point, ledger);
  std::string bytes;
  ArchiveWriter writer([&](Bytes part) {
    append(bytes, part);
    return Result<void>();
  });
  writer(point, ledger);
  SR_CHECK(writer.finish().has_value(), "a string takes everything");
  Ledger back({}, {kGateway});
  tlog::LogPoint back_point;
  given = false;
  ArchiveReader again(
      [&]() -> Result<std::string> { return std::exchange(given, true) ? std::string() : bytes; });
  again(back_point, back);
  SR_CHECK(again.finish().has_value(), "own contents are read");
  SR_CHECK(contents_of(back_point, back) == contents, "contents come back");
  return 0;
}
