// A software TPM in a folder, for the drill and for tests: swtpm as a child of this process, on the
// loopback, ended with the object. What it holds is as safe as that folder.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "strongroom/base/result.h"

namespace strongroom::tpm {

bool swtpm_is_installed();

class Swtpm {
 public:
  // `state_dir` exists. A TPM that was run there before goes on.
  //   kUnavailable  It does not start.
  static Result<std::unique_ptr<Swtpm>> start(const std::string& state_dir);
  ~Swtpm();
  Swtpm(const Swtpm&) = delete;
  Swtpm& operator=(const Swtpm&) = delete;
  const std::string& tcti() const { return tcti_; }

 private:
  Swtpm() = default;
  pid_t pid_ = -1;
  std::string tcti_;
};

}  // namespace strongroom::tpm
