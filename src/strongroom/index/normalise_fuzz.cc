// Values from an import file. First byte: the type; second: the region; then the value.
#include "strongroom/index/normalise.h"

using namespace strongroom::index;  // NOLINT(google-build-using-namespace): one function

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto type = static_cast<ValueType>(data[0] % 11);
  static constexpr const char* kRegions[] = {"CN", "US", "", "GB"};
  const char* region = kRegions[data[1] % 4];
  const std::string_view value(reinterpret_cast<const char*>(data) + 2, size - 2);

  const auto normal = normalise(type, value, region);
  const auto forms = forms_of(type, value, region);
  if (normal.has_value() != forms.has_value()) __builtin_trap();
  if (!normal) return 0;
  if (forms->norm != *normal) __builtin_trap();
  if (!valid_utf8(value) || !valid_utf8(*normal) || !valid_utf8(forms->stored) || normal->empty())
    __builtin_trap();
  const auto again = normalise(type, *normal, region);
  if (!again || *again != *normal) __builtin_trap();
  const auto of_stored = normalise(type, forms->stored, region);
  if (!of_stored || *of_stored != *normal) __builtin_trap();
  return 0;
}
