#include "strongroom/app/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace strongroom::app {

Result<void> lock_folder(const std::string& file, const char* busy) {
  const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return make_error(ErrorCode::kUnavailable, "the folder cannot be written to");
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    return make_error(ErrorCode::kFailedPrecondition, busy);
  }
  return {};  // The descriptor stays open: it is the lock.
}

}  // namespace strongroom::app
