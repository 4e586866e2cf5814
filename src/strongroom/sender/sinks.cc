#include "strongroom/sender/sinks.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "strongroom/crypto/hash.h"
#include "strongroom/rpc/connect_client.h"

namespace strongroom::sender {
namespace {

constexpr uint64_t kSecretBytesMin = 16;
constexpr uint64_t kSecretBytesMax = 4096;
constexpr uint64_t kAuthoritiesBytesMax = uint64_t{4} << 20;
constexpr char kSystemAuthorities[] = "/etc/ssl/certs/ca-certificates.crt";
constexpr int kWebhookTimeoutMs = 10'000;
constexpr uint64_t kOcsfBytesMax = uint64_t{1} << 40;

std::string seen_from(const std::string& dir, const std::string& path) {
  return path.starts_with('/') ? path : dir + "/" + path;
}

class Webhook : public AlarmSink {
 public:
  static Result<std::unique_ptr<AlarmSink>> make(const v1::Sink& sink, const SinkContext& context);
  ~Webhook() override { explicit_bzero(secret_.data(), secret_.size()); }
  const std::string& name() const override { return name_; }

  Result<void> send(const v1::Alarm& alarm) override {
    const std::string body = to_ocsf(alarm, context_.origin);
    if (client_ == nullptr) {
      SR_ASSIGN(client_, rpc::ConnectClient::connect(endpoint_));
    }
    rpc::CallOptions options;
    options.timeout_ms = kWebhookTimeoutMs;
    options.idempotent = true;
    options.headers = {
        {"strongroom-signature",
         webhook_signature(as_bytes(secret_), context_.clock.wall_ms() / 1000, body)}};
    const auto reply = client_->exchange(path_, "application/json", body, options);
    if (reply && reply->status >= 200 && reply->status < 300) return {};
    client_.reset();
    if (!reply) return reply.error();
    return make_error(ErrorCode::kUnavailable,
                      "the webhook did not take an alarm (the number is its HTTP status)",
                      reply->status);
  }

 private:
  Webhook(std::string name, const SinkContext& context)
      : name_(std::move(name)), context_(context) {}
  std::string name_;
  SinkContext context_;
  rpc::Endpoint endpoint_;
  std::string path_;
  std::string secret_;
  std::unique_ptr<rpc::ConnectClient> client_;
};

Result<std::unique_ptr<AlarmSink>> Webhook::make(const v1::Sink& sink, const SinkContext& context) {
  const auto bad_url =
      make_error(ErrorCode::kInvalidArgument, "a webhook's url is https://HOST[:PORT]/PATH");
  constexpr std::string_view kScheme = "https://";
  std::unique_ptr<Webhook> out(new Webhook(sink.name(), context));
  std::string_view url = sink.webhook().url();
  if (!url.starts_with(kScheme) ||
      std::any_of(url.begin(), url.end(), [](char c) { return c <= ' ' || c == 0x7f; })) {
    return bad_url;
  }
  url.remove_prefix(kScheme.size());
  const size_t slash = std::min(url.find('/'), url.size());
  std::string_view host = url.substr(0, slash);
  out->path_ = slash == url.size() ? "/" : std::string(url.substr(slash));
  out->endpoint_.port = 443;
  if (const size_t colon = host.rfind(':'); colon != std::string_view::npos) {
    const std::string_view port = host.substr(colon + 1);
    const auto parsed =
        std::from_chars(port.data(), port.data() + port.size(), out->endpoint_.port);
    if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size()) return bad_url;
    host = host.substr(0, colon);
  }
  if (host.empty() || host.find('@') != std::string_view::npos) return bad_url;
  out->endpoint_.host = std::string(host);
  const std::string& authorities = sink.webhook().ca_file();
  SR_ASSIGN(out->endpoint_.ca_pem,
            context.files.read(authorities.empty() ? std::string(kSystemAuthorities)
                                                   : seen_from(context.dir, authorities),
                               kAuthoritiesBytesMax));
  SR_ASSIGN(out->secret_, context.files.read(seen_from(context.dir, sink.webhook().secret_file()),
                                             kSecretBytesMax));
  while (out->secret_.ends_with('\n')) out->secret_.pop_back();
  if (out->secret_.size() < kSecretBytesMin) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a webhook's secret_file holds at least 16 bytes; `openssl rand -hex 32` "
                      "makes one");
  }
  return std::unique_ptr<AlarmSink>(std::move(out));
}

// Datagrams to the local logger, which takes them on from there.
class Syslog : public AlarmSink {
 public:
  Syslog(const v1::Sink& sink)
      : name_(sink.name()),
        path_(sink.syslog().socket().empty() ? "/dev/log" : sink.syslog().socket()) {}
  const std::string& name() const override { return name_; }

  Result<void> send(const v1::Alarm& alarm) override {
    const auto absent = make_error(ErrorCode::kUnavailable, "no syslog listens on its socket");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) return absent;
    memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return absent;
    const std::string line = to_syslog(alarm);
    const ssize_t sent = sendto(fd, line.data(), line.size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&address), sizeof address);
    close(fd);
    if (sent != static_cast<ssize_t>(line.size())) return absent;
    return {};
  }

 private:
  std::string name_;
  std::string path_;
};

// Opened for each alarm, so that it may be moved away between two.
class OcsfFile : public AlarmSink {
 public:
  OcsfFile(const v1::Sink& sink, const SinkContext& context)
      : name_(sink.name()), context_(context), path_(seen_from(context.dir, sink.ocsf().file())) {}
  const std::string& name() const override { return name_; }

  Result<void> send(const v1::Alarm& alarm) override {
    uint64_t size = 0;
    if (const auto found = context_.files.file_size(path_)) {
      size = *found;
    } else if (found.error().code != ErrorCode::kNotFound) {
      return found.error();
    }
    if (size > kOcsfBytesMax) return make_error(ErrorCode::kNoSpace, "the OCSF file is too large");
    // A crash may have cut the last line short: the next begins on one of its own.
    std::string line;
    if (size > 0) {
      SR_ASSIGN(const std::string last, context_.files.read_range(path_, size - 1, 1));
      if (last != "\n") line = "\n";
    }
    line += to_ocsf(alarm, context_.origin) + "\n";
    SR_ASSIGN(const auto file, context_.files.open_append(path_, size, 0));
    SR_TRY(file->append(as_bytes(line)));
    return file->sync();
  }

 private:
  std::string name_;
  SinkContext context_;
  std::string path_;
};

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
  });
}

}  // namespace

Result<std::vector<std::string>> paths_written(const v1::SinksFile& file,
                                               const SinkContext& context) {
  std::vector<std::string> out;
  for (const v1::Sink& sink : file.sinks()) {
    if (!sink.has_ocsf()) continue;
    const std::filesystem::path path(seen_from(context.dir, sink.ocsf().file()));
    const std::filesystem::path folder = path.parent_path();
    std::error_code error;
    if (!std::filesystem::equivalent(folder, context.dir, error)) {
      if (std::filesystem::is_directory(folder, error)) out.push_back(folder);
      continue;
    }
    if (!context.files.file_size(path)) SR_TRY(context.files.open_append(path, 0, 0));
    out.push_back(path);
  }
  return out;
}

std::string webhook_signature(Bytes secret, uint64_t t_s, std::string_view body) {
  const std::string t = std::to_string(t_s);
  const std::string stamped = t + ".";
  return "t=" + t +
         ",v1=" + to_hex(crypto::hmac_sha256(secret, {as_bytes(stamped), as_bytes(body)}));
}

Result<std::vector<std::unique_ptr<AlarmSink>>> make_sinks(const v1::SinksFile& file,
                                                           const SinkContext& context,
                                                           std::string* name) {
  std::vector<std::unique_ptr<AlarmSink>> out;
  for (const v1::Sink& sink : file.sinks()) {
    *name = sink.name();
    const bool twice = std::any_of(out.begin(), out.end(),
                                   [&](const auto& other) { return other->name() == sink.name(); });
    if (!is_name(sink.name()) || twice) {
      return make_error(ErrorCode::kInvalidArgument,
                        "each sink needs a name of its own, of lower-case letters and digits");
    }
    if (int{sink.has_webhook()} + int{sink.has_syslog()} + int{sink.has_ocsf()} != 1) {
      return make_error(ErrorCode::kInvalidArgument, "a sink is one of webhook, syslog and ocsf");
    }
    if (sink.has_webhook()) {
      SR_ASSIGN(auto made, Webhook::make(sink, context));
      out.push_back(std::move(made));
    } else if (sink.has_syslog()) {
      out.push_back(std::make_unique<Syslog>(sink));
    } else if (sink.ocsf().file().empty()) {
      return make_error(ErrorCode::kInvalidArgument, "an ocsf sink names its file");
    } else {
      out.push_back(std::make_unique<OcsfFile>(sink, context));
    }
  }
  return out;
}

}  // namespace strongroom::sender
