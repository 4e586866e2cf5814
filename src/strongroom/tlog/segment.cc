#include "strongroom/tlog/segment.h"

#include <string.h>

#include <algorithm>
#include <cstdio>

#include "strongroom/crypto/hash.h"

namespace strongroom::tlog {
namespace {

constexpr std::string_view kSegmentMagic = "SRLOGSEG";
constexpr std::string_view kEntryMagic = "SR1R";
constexpr size_t kWindow = size_t{1} << 20;

// SHA-256 against damage, not against an attacker: the checkpoint and the sealed bodies are.
ByteArray<kCheckSize> check_of(Bytes bytes) {
  const crypto::Digest digest = crypto::sha256(bytes);
  ByteArray<kCheckSize> check;
  std::copy_n(digest.begin(), check.size(), check.begin());
  return check;
}

bool has_check(Bytes bytes) {
  const Bytes body = bytes.first(bytes.size() - kCheckSize);
  return std::ranges::equal(check_of(body), bytes.last(kCheckSize));
}

}  // namespace

std::string segment_name(uint32_t number) {
  char name[32];
  std::snprintf(name, sizeof(name), "entries-%08u.log", number);
  return name;
}

std::optional<uint32_t> parse_segment_name(std::string_view name) {
  constexpr size_t kDigitsAt = 8;
  uint64_t number = 0;
  for (const char c : name.substr(std::min(name.size(), kDigitsAt))) {
    if (c < '0' || c > '9') break;
    number = number * 10 + static_cast<uint64_t>(c - '0');
    if (number > UINT32_MAX) return std::nullopt;
  }
  const auto value = static_cast<uint32_t>(number);
  return segment_name(value) == name ? std::optional(value) : std::nullopt;
}

void append_segment_header(std::string& out, uint64_t first_leaf) {
  const size_t start = out.size();
  out += kSegmentMagic;
  out.push_back(static_cast<char>(kSegmentVersion));
  out.append(7, '\0');
  append_be(out, first_leaf, 8);
  append(out, check_of(as_bytes(out).subspan(start)));
}

Result<uint64_t> parse_segment_header(Bytes header) {
  const Error damaged =
      make_error(ErrorCode::kDataLoss, "A file of the release log does not begin as one.");
  if (header.size() < kSegmentHeaderSize) return damaged;
  header = header.first(kSegmentHeaderSize);
  ByteReader reader(header);
  const bool ours = as_text(reader.take(kSegmentMagic.size())) == kSegmentMagic;
  const uint64_t version = reader.be(1);
  const uint64_t zeros = reader.be(7);
  const uint64_t first_leaf = reader.be(8);
  if (!ours || !has_check(header)) return damaged;
  if (version != kSegmentVersion || zeros != 0) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "The release log was written by a newer strongroom: use that version.");
  }
  return first_leaf;
}

void finish_frame(std::string& out, size_t start) {
  store_be<uint32_t>(reinterpret_cast<uint8_t*>(out.data()) + start,
                     static_cast<uint32_t>(out.size() - start - 4 + kCheckSize));
  append(out, check_of(as_bytes(out).subspan(start)));
}

FrameState parse_frame(Bytes bytes, Frame* frame) {
  if (bytes.empty()) return FrameState::kEnd;
  if (bytes.size() < 4) return FrameState::kDamaged;
  const size_t size = size_t{load_be<uint32_t>(bytes.data())} + 4;
  if (size == 4) return FrameState::kEnd;
  if (size < kFrameMin || size > kFrameMax || size > bytes.size()) return FrameState::kDamaged;
  bytes = bytes.first(size);
  if (!has_check(bytes)) return FrameState::kDamaged;
  frame->leaf = load_be<uint64_t>(bytes.data() + kFrameLeafAt);
  frame->place = load_be<uint32_t>(bytes.data() + kFramePlaceAt);
  frame->entry = bytes.subspan(kFrameEntryAt, kEntrySize);
  frame->nonce = bytes.subspan(kFrameNonceAt, crypto::kGcmNonceSize);
  frame->sealed = bytes.subspan(kFrameBodyAt, size - kFrameBodyAt - kCheckSize);
  frame->size = size;
  return FrameState::kWhole;
}

Result<SegmentReader> SegmentReader::open(env::Files& files, const std::string& path) {
  SR_ASSIGN(const uint64_t size, files.file_size(path));
  return SegmentReader(size, [&files, path](uint64_t offset, uint64_t count) {
    return files.read_range(path, offset, count);
  });
}

Result<Bytes> SegmentReader::peek(size_t size) {
  const uint64_t left = at_end() ? 0 : end_ - offset_;
  const uint64_t want = std::min<uint64_t>(size, left);
  const bool inside = offset_ >= window_at_ && offset_ + want <= window_at_ + window_.size();
  if (!inside) {
    SR_ASSIGN(window_, fetch_(offset_, std::min<uint64_t>(std::max(size, kWindow), left)));
    window_at_ = offset_;
    if (window_.size() < want) end_ = offset_ + window_.size();  // Cut since: no more than that.
  }
  return as_bytes(window_).subspan(offset_ - window_at_);
}

Result<bool> is_torn_tail(SegmentReader& reader, uint64_t next) {
  while (!reader.at_end()) {
    // Every frame that begins in the first part of the window lies wholly in it, or beyond the end.
    SR_ASSIGN(const Bytes window, reader.peek(kFrameMax + kWindow));
    const size_t part =
        window.size() < kFrameMax + kWindow ? window.size() : window.size() - kFrameMax;
    for (size_t at = 0; at < part;) {
      const void* found =
          memmem(window.data() + at, window.size() - at, kEntryMagic.data(), kEntryMagic.size());
      if (found == nullptr) break;
      const auto entry_at = static_cast<size_t>(static_cast<const uint8_t*>(found) - window.data());
      at = entry_at + 1;
      if (entry_at < kFrameEntryAt) continue;
      Frame frame;
      const Bytes candidate = window.subspan(entry_at - kFrameEntryAt);
      if (parse_frame(candidate, &frame) != FrameState::kWhole) continue;
      // One at or before `next` is none that a crash leaves here: someone moved it.
      const bool same_group = frame.leaf > next && frame.leaf - next <= frame.place;
      if (!same_group) return false;
    }
    // Entry magics found late in this part belong to frames that may begin before it: keep those.
    reader.skip(part == window.size() ? part : part - kFrameEntryAt);
  }
  return true;
}

}  // namespace strongroom::tlog
