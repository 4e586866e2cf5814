#include "strongroom/tpm/fd_tcti.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

#include "strongroom/base/bytes.h"

namespace strongroom::tpm {
namespace {

constexpr int kAnswerMs = 30'000;  // Making a key takes a slow chip seconds.
constexpr size_t kHeadSize = 10, kSizeAt = 2;
constexpr size_t kResponseMax = 4096;
constexpr uint64_t kMagic = 0x5352544354490001;

Result<int> open_device(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd >= 0) return fd;
  return make_error(ErrorCode::kUnavailable,
                    "The TPM cannot be opened. Is it switched on, and may this user use it (group "
                    "tss)?");
}

Result<int> connect_to(std::string_view host, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && inet_pton(AF_INET, std::string(host).c_str(), &address.sin_addr) == 1 &&
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return fd;
  }
  if (fd >= 0) close(fd);
  return make_error(ErrorCode::kUnavailable, "swtpm does not listen there. Start it first.");
}

Result<int> open_fd(const std::string& name) {
  constexpr std::string_view kDevice = "device:", kHost = "swtpm:host=", kPort = ",port=";
  if (name.starts_with(kDevice)) return open_device(name.substr(kDevice.size()));
  const size_t comma = name.find(kPort);
  uint16_t port = 0;
  if (name.starts_with(kHost) && comma != std::string::npos) {
    const char* digits = name.data() + comma + kPort.size();
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(digits, end, port);
    if (parsed.ec == std::errc() && parsed.ptr == end && port != 0) {
      return connect_to(std::string_view(name).substr(kHost.size(), comma - kHost.size()), port);
    }
  }
  return make_error(ErrorCode::kInvalidArgument,
                    "A TPM is named device:/dev/tpmrm0, or swtpm:host=127.0.0.1,port=2321.");
}

}  // namespace

struct FdTcti::Context {
  TSS2_TCTI_CONTEXT_COMMON_V1 common{};  // First: the library knows no more of it.
  int fd = -1;
  uint8_t response[kResponseMax];
  size_t size = 0;  // Of the response that was read and not yet handed out.

  static Context& of(TSS2_TCTI_CONTEXT* context) { return *reinterpret_cast<Context*>(context); }

  static TSS2_RC transmit(TSS2_TCTI_CONTEXT* context, size_t size, const uint8_t* command) {
    Context& self = of(context);
    self.size = 0;
    while (size > 0) {
      const ssize_t written = ::write(self.fd, command, size);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return TSS2_TCTI_RC_IO_ERROR;
      command += written;
      size -= static_cast<size_t>(written);
    }
    return TSS2_RC_SUCCESS;
  }

  // A device gives all of a response in one read, a socket as it comes.
  bool read_response() {
    size_t wanted = kHeadSize;
    while (size < wanted) {
      pollfd ready{fd, POLLIN, 0};
      const int n = poll(&ready, 1, kAnswerMs);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      const ssize_t got = ::read(fd, response + size, sizeof response - size);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      size += static_cast<size_t>(got);
      if (size >= kHeadSize) wanted = load_be<uint32_t>(response + kSizeAt);
      if (wanted < kHeadSize || wanted > sizeof response) return false;
    }
    return size == wanted;
  }

  static TSS2_RC receive(TSS2_TCTI_CONTEXT* context, size_t* size, uint8_t* response, int32_t) {
    Context& self = of(context);
    if (self.size == 0 && !self.read_response()) {
      self.size = 0;
      return TSS2_TCTI_RC_IO_ERROR;
    }
    if (response == nullptr) {  // How long it is.
      *size = self.size;
      return TSS2_RC_SUCCESS;
    }
    if (*size < self.size) return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    memcpy(response, self.response, self.size);
    *size = self.size;
    explicit_bzero(self.response, sizeof self.response);  // It may hold a key.
    self.size = 0;
    return TSS2_RC_SUCCESS;
  }

  static TSS2_RC set_locality(TSS2_TCTI_CONTEXT*, uint8_t) { return TSS2_TCTI_RC_NOT_IMPLEMENTED; }
  static TSS2_RC cancel(TSS2_TCTI_CONTEXT*) { return TSS2_TCTI_RC_NOT_IMPLEMENTED; }
  static TSS2_RC get_poll_handles(TSS2_TCTI_CONTEXT*, TSS2_TCTI_POLL_HANDLE*, size_t*) {
    return TSS2_TCTI_RC_NOT_IMPLEMENTED;
  }
  static void finalize(TSS2_TCTI_CONTEXT*) {}
};

FdTcti::FdTcti(int fd) : context_(std::make_unique<Context>()) {
  context_->fd = fd;
  context_->common.magic = kMagic;
  context_->common.version = 1;
  context_->common.transmit = Context::transmit;
  context_->common.receive = Context::receive;
  context_->common.finalize = Context::finalize;
  context_->common.cancel = Context::cancel;
  context_->common.getPollHandles = Context::get_poll_handles;
  context_->common.setLocality = Context::set_locality;
}

FdTcti::~FdTcti() {
  explicit_bzero(context_->response, sizeof context_->response);
  close(context_->fd);
}

TSS2_TCTI_CONTEXT* FdTcti::context() {
  return reinterpret_cast<TSS2_TCTI_CONTEXT*>(context_.get());
}

Result<std::unique_ptr<FdTcti>> FdTcti::open(const std::string& name) {
  SR_ASSIGN(const int fd, open_fd(name));
  return std::unique_ptr<FdTcti>(new FdTcti(fd));
}

}  // namespace strongroom::tpm
