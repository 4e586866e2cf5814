#include "strongroom/rpc/interned.h"

#include <mutex>
#include <string>
#include <unordered_set>

namespace strongroom::rpc {
namespace {

constexpr size_t kTextsMax = 1024;
constexpr size_t kTextBytesMax = 512;

}  // namespace

const char* intern_text(std::string_view text) {
  std::string clean(text.substr(0, kTextBytesMax));
  for (char& c : clean) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  static std::mutex mutex;
  static auto& texts =
      *new std::unordered_set<std::string>;  // Never freed: Error::text points into it.
  const std::lock_guard lock(mutex);
  const auto known = texts.find(clean);
  if (known != texts.end()) return known->c_str();
  if (texts.size() >= kTextsMax) return "the server reported an error; its own log says more";
  return texts.insert(std::move(clean)).first->c_str();
}

}  // namespace strongroom::rpc
