#include "strongroom/intake/source.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "strongroom/base/check.h"

namespace strongroom::intake {
namespace {

constexpr const char* kUnreadable =
    "the source cannot be read; check the disk or pipe it comes from";

// Owns a descriptor, but leaves standard input open.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ != STDIN_FILENO) ::close(fd_);
  }
  Result<size_t> read(MutableBytes out) const {
    for (;;) {
      const ssize_t n = ::read(fd_, out.data(), out.size());
      if (n >= 0) return static_cast<size_t>(n);
      if (errno == EISDIR) {
        return make_error(ErrorCode::kInvalidArgument,
                          "the source is a folder; name a file, or - for standard input");
      }
      if (errno != EINTR) return make_error(ErrorCode::kUnavailable, kUnreadable, errno);
    }
  }

 private:
  int fd_;
};

}  // namespace

Result<std::unique_ptr<ByteSource>> ByteSource::open(const std::string& path) {
  int fd = STDIN_FILENO;
  if (path != "-") {
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
      return make_error(ErrorCode::kNotFound,
                        "there is no such file; name one, or - for standard input");
    }
    if (fd < 0)
      return make_error(ErrorCode::kUnavailable, "the file cannot be opened; check its permissions",
                        errno);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  auto descriptor = std::make_shared<Descriptor>(fd);
  return from_pull([descriptor](MutableBytes out) { return descriptor->read(out); });
}

Result<std::unique_ptr<ByteSource>> ByteSource::from_text(std::string text) {
  auto rest = std::make_shared<std::pair<std::string, size_t>>(std::move(text), 0);
  return from_pull([rest](MutableBytes out) -> Result<size_t> {
    const size_t n = std::min(out.size(), rest->first.size() - rest->second);
    memcpy(out.data(), rest->first.data() + rest->second, n);
    rest->second += n;
    return n;
  });
}

Result<std::unique_ptr<ByteSource>> ByteSource::from_pull(Pull pull) {
  std::unique_ptr<ByteSource> source(new ByteSource(std::move(pull)));
  SR_ASSIGN(const bool any, source->pull_chunk());
  if (any) source->head_.assign(as_text({source->window_[0].bytes.get(), source->window_[0].size}));
  return source;
}

uint64_t ByteSource::window_end() const {
  return window_.empty() ? window_begin_
                         : window_begin_ + (window_.size() - 1) * kChunk + window_.back().size;
}

Result<bool> ByteSource::pull_chunk() {
  if (ended_) return false;
  Chunk chunk{spare_ ? std::move(spare_) : std::make_unique<uint8_t[]>(kChunk), 0};
  while (chunk.size < kChunk) {
    SR_ASSIGN(const size_t n, pull_({chunk.bytes.get() + chunk.size, kChunk - chunk.size}));
    if (n == 0) {
      ended_ = true;
      break;
    }
    chunk.size += n;
  }
  if (chunk.size == 0) return false;
  window_.push_back(std::move(chunk));
  return true;
}

Result<Bytes> ByteSource::read() {
  if (cursor_ == window_end()) {
    SR_ASSIGN(const bool any, pull_chunk());
    if (!any) return Bytes{};
  }
  const Chunk& chunk = window_[(cursor_ - window_begin_) / kChunk];
  const size_t begin = (cursor_ - window_begin_) % kChunk;
  cursor_ += chunk.size - begin;
  return Bytes{chunk.bytes.get() + begin, chunk.size - begin};
}

void ByteSource::release(uint64_t offset) {
  SR_CHECK(offset <= cursor_, "released what was not read");
  while (window_begin_ + kChunk <= offset) {
    Chunk& first = window_.front();
    chain_ = crypto::sha256({chain_, Bytes{first.bytes.get(), first.size}});
    spare_ = std::move(first.bytes);
    window_.pop_front();
    window_begin_ += kChunk;
  }
}

crypto::Digest ByteSource::digest_at(uint64_t offset) const {
  SR_CHECK(offset >= window_begin_ && offset <= window_end(), "no digest there");
  crypto::Digest chain = chain_;
  uint64_t at = window_begin_;
  size_t i = 0;
  for (; at + kChunk <= offset; at += kChunk)
    chain = crypto::sha256({chain, Bytes{window_[i++].bytes.get(), kChunk}});
  uint8_t size[8];
  store_be<uint64_t>(size, offset);
  const Bytes tail =
      offset == at ? Bytes{} : Bytes{window_[i].bytes.get(), static_cast<size_t>(offset - at)};
  return crypto::sha256({as_bytes("SR1 source"), size, chain, tail});
}

Result<void> ByteSource::skip(uint64_t from, uint64_t to, Bytes digest,
                              const std::function<void(Bytes)>& visit) {
  constexpr const char* kOther =
      "the source is not the one whose import was begun; give the same, unchanged file, or import "
      "it as a new one";
  SR_CHECK(from >= window_begin_ && from <= cursor_, "skips from what was released");
  if (to < from) return make_error(ErrorCode::kFailedPrecondition, kOther);
  cursor_ = from;
  while (cursor_ < to) {
    const uint64_t begin = cursor_;
    SR_ASSIGN(const Bytes bytes, read());
    if (bytes.empty()) return make_error(ErrorCode::kFailedPrecondition, kOther);
    visit(bytes.first(static_cast<size_t>(std::min<uint64_t>(bytes.size(), to - begin))));
    cursor_ = std::min(cursor_, to);
    release(cursor_);
  }
  const crypto::Digest found = digest_at(to);
  if (!std::ranges::equal(found, digest)) return make_error(ErrorCode::kFailedPrecondition, kOther);
  return {};
}

}  // namespace strongroom::intake
