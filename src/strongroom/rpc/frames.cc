#include "strongroom/rpc/frames.h"

#include <string.h>  // explicit_bzero

#include <algorithm>

#include "strongroom/rpc/wipe.h"

namespace strongroom::rpc {
namespace {

constexpr size_t kLengthBytes = 4;
constexpr size_t kFrameReadBytes = 64u << 10;
constexpr size_t kSpaceMin = 4u << 10;

}  // namespace

FrameReader::FrameReader(size_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {}

FrameReader::~FrameReader() {
  wipe(buffer_);
}

void FrameReader::drop_loan() {
  explicit_bzero(buffer_.data() + begin_ - loan_, loan_);
  loan_ = 0;
  if (begin_ == end_) begin_ = end_ = 0;
}

MutableBytes FrameReader::space() {
  drop_loan();
  if (begin_ > 0) {
    memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    explicit_bzero(buffer_.data() + end_ - begin_, begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  size_t wanted = end_ + kSpaceMin;
  if (end_ >= kLengthBytes) {
    const size_t length =
        load_le<uint32_t>(reinterpret_cast<const uint8_t*>(buffer_.data()), kLengthBytes);
    if (length <= frame_bytes_max_) wanted = std::max(end_ + 1, kLengthBytes + length);
  }
  if (buffer_.size() < wanted || (end_ == 0 && buffer_.size() > 16 * kFrameReadBytes)) {
    // Not resize(): growing in place would leave a copy behind in freed memory.
    std::string larger(std::max(wanted, kFrameReadBytes), '\0');
    memcpy(larger.data(), buffer_.data(), end_);
    buffer_.swap(larger);
    wipe(larger);
  }
  return {reinterpret_cast<uint8_t*>(buffer_.data()) + end_, buffer_.size() - end_};
}

void FrameReader::filled(size_t size) {
  SR_CHECK(size <= buffer_.size() - end_, "more bytes than there was space for");
  end_ += size;
}

Result<std::optional<Bytes>> FrameReader::next() {
  drop_loan();
  if (end_ - begin_ < kLengthBytes) return std::optional<Bytes>();
  const auto* at = reinterpret_cast<const uint8_t*>(buffer_.data()) + begin_;
  const size_t length = load_le<uint32_t>(at, kLengthBytes);
  if (length > frame_bytes_max_) {
    return make_error(ErrorCode::kInvalidArgument, "a frame is longer than allowed",
                      static_cast<int64_t>(length));
  }
  if (end_ - begin_ < kLengthBytes + length) return std::optional<Bytes>();
  loan_ = kLengthBytes + length;
  begin_ += loan_;
  return std::optional<Bytes>(Bytes(at + kLengthBytes, length));
}

Result<void> append_frame(const google::protobuf::MessageLite& message, std::string& out) {
  const size_t size = message.ByteSizeLong();
  if (size > kFrameBytesMax) {
    return make_error(ErrorCode::kTooBroad, "a batch is longer than one frame may be");
  }
  grow(out, kLengthBytes + size);
  append_le(out, size, kLengthBytes);
  if (!message.AppendToString(&out)) {
    return make_error(ErrorCode::kInternal, "a batch could not be encoded; please report this");
  }
  return {};
}

}  // namespace strongroom::rpc
