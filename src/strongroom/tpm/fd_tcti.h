// How commands reach a TPM: over one file descriptor that is opened once, so that a sandbox may be
// entered then. (The library's own way to swtpm connects anew for each command.)
//
//   device:/dev/tpmrm0                  The kernel's, with its resource manager.
//   swtpm:host=127.0.0.1,port=2321      The data channel of a TPM in software.
//
// A command and its response are as the TPM specification (Part 1, "Command/Response Structure")
// has them: tag u16be | size u32be | code u32be | ...
#pragma once

#include <tss2/tss2_tcti.h>

#include <memory>
#include <string>

#include "strongroom/base/result.h"

namespace strongroom::tpm {

// Not thread-safe. Must outlive the ESAPI context made on it.
class FdTcti {
 public:
  //   kInvalidArgument  Neither of the two.
  //   kUnavailable      It is not there, or somebody else has it.
  static Result<std::unique_ptr<FdTcti>> open(const std::string& name);
  ~FdTcti();
  FdTcti(const FdTcti&) = delete;
  FdTcti& operator=(const FdTcti&) = delete;
  TSS2_TCTI_CONTEXT* context();

 private:
  struct Context;
  explicit FdTcti(int fd);
  std::unique_ptr<Context> context_;
};

}  // namespace strongroom::tpm
