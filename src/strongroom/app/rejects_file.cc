#include "strongroom/app/rejects_file.h"

#include <sys/stat.h>

#include <utility>

#include "strongroom/env/files.h"
#include "strongroom/synth/writer.h"

namespace strongroom::app {
namespace {

constexpr char kHeader[] = "row,line,field,reason,shapes\n";
constexpr uint64_t kRejectsBytesMax = uint64_t{1} << 30;
constexpr size_t kShapeMax = 64;

Error unwritable() {
  return make_error(ErrorCode::kUnavailable,
                    "the rejects file cannot be written; the import stopped");
}

}  // namespace

std::string shape_of(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const auto b = static_cast<uint8_t>(c);
    if (out.size() > kShapeMax) return out + "...";
    if (b >= '0' && b <= '9') {
      out += '9';
    } else if ((b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z')) {
      out += 'x';
    } else if (b < 0x80) {
      out += b < 0x20 ? ' ' : c;
    } else if ((b & 0xc0) != 0x80) {
      out += "口";
    }
  }
  return out;
}

Result<RejectsFile> RejectsFile::open(const std::string& path, uint64_t rows_kept) {
  RejectsFile out;
  out.path_ = path;
  auto& files = env::real_files();
  if (rows_kept == 0) {
    SR_TRY(files.remove(path));
    return out;
  }
  const auto text = files.read(path, kRejectsBytesMax);
  if (!text && text.error().code == ErrorCode::kNotFound) return out;
  if (!text) return text.error();
  // Our own file, one line a row: no field of it holds a line break.
  std::string kept;
  for (size_t at = 0; at < text->size();) {
    const size_t end = std::min(text->find('\n', at), text->size() - 1) + 1;
    const std::string_view line = std::string_view(*text).substr(at, end - at);
    uint64_t row = 0;
    for (const char c : line) {
      if (c < '0' || c > '9') break;
      row = row * 10 + static_cast<uint64_t>(c - '0');
    }
    if (row <= rows_kept) kept += line;
    at = end;
  }
  SR_TRY(files.write_atomic(path, as_bytes(kept)));
  out.append_ = true;
  return out;
}

RejectsFile::RejectsFile(RejectsFile&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, nullptr)),
      append_(other.append_) {}

RejectsFile& RejectsFile::operator=(RejectsFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  std::swap(append_, other.append_);
  return *this;
}

RejectsFile::~RejectsFile() {
  if (file_ != nullptr) std::fclose(file_);
}

Result<void> RejectsFile::add(uint64_t row, uint64_t line, const std::string& field,
                              const std::string& reason, const std::vector<std::string>& values) {
  if (file_ == nullptr) {
    const mode_t before = umask(0077);
    file_ = std::fopen(path_.c_str(), append_ ? "ae" : "we");
    umask(before);
    if (file_ == nullptr) return unwritable();
    if (!append_) std::fputs(kHeader, file_);
  }
  std::string shapes;
  for (const auto& value : values) shapes += (shapes.empty() ? "" : " | ") + shape_of(value);
  std::string out;
  synth::append_csv(
      {std::to_string(row), line == 0 ? "" : std::to_string(line), field, reason, shapes}, out);
  if (std::fwrite(out.data(), 1, out.size(), file_) != out.size()) return unwritable();
  return {};
}

Result<void> RejectsFile::flush() {
  if (file_ != nullptr && std::fflush(file_) != 0) return unwritable();
  return {};
}

}  // namespace strongroom::app
