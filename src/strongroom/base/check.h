// SR_CHECK: an invariant of our own code. Stays on in release, prints the place and never a value.
#pragma once

namespace strongroom {
[[noreturn]] void check_failed(const char* file, int line, const char* what) noexcept;
}  // namespace strongroom

#define SR_CHECK(condition, what)                           \
  do {                                                      \
    if (!(condition)) [[unlikely]]                          \
      ::strongroom::check_failed(__FILE__, __LINE__, what); \
  } while (0)
