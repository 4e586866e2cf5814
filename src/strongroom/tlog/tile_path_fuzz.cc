// Paths as an HTTP client may ask for them: what parses has one form only, and stays under tile/.
#include "strongroom/base/check.h"
#include "strongroom/tlog/tiles.h"

using namespace strongroom;
using namespace strongroom::tlog;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view path(reinterpret_cast<const char*>(data), size);
  if (const auto id = parse_tile_path(path)) {
    SR_CHECK(tile_path(*id) == path, "two paths of one tile");
    SR_CHECK(path.starts_with("tile/") && path.find("..") == std::string_view::npos, "it climbs");
    (void)first_leaf_of(*id);
    (void)tree_has_tile(1'000'000, *id);
  }
  return 0;
}
