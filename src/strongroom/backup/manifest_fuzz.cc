// Manifests as whoever holds a backup's folder may write them.
#include "strongroom/backup/manifest.h"

using namespace strongroom;
using namespace strongroom::backup;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto manifest = parse_manifest({reinterpret_cast<const char*>(data), size});
  if (!manifest) return 0;
  for (const v1::BackupFile& file : manifest->files()) {
    SR_CHECK(file.name().find("..") != 0 && file.name().find("/.") == std::string::npos,
             "a name leads out of the folder");
  }
  const auto again = parse_manifest(format_manifest(*manifest));
  SR_CHECK(again && again->SerializeAsString() == manifest->SerializeAsString(),
           "read otherwise than written");
  return 0;
}
