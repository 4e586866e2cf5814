#include "strongroom/index/spool.h"

#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/random.h"

namespace strongroom::index {
namespace {

// A key of its own for each file, so a piece's number is nonce enough.
ByteArray<crypto::kGcmNonceSize> nonce_of(uint64_t number) {
  ByteArray<crypto::kGcmNonceSize> nonce{};
  store_be<uint64_t>(nonce.data() + 4, number);
  return nonce;
}

Error damaged_spool() {
  return make_error(ErrorCode::kDataLoss,
                    "A temporary file of this import or merge was changed or cut; nothing of it "
                    "was used. Run it again.");
}

}  // namespace

SpoolFile::SpoolFile(env::Files& files, std::string path)
    : files_(files), path_(std::move(path)), key_(crypto::random_secret<SealingKey>()) {}

SpoolFile::~SpoolFile() {
  if (file_ == nullptr) return;
  file_.reset();
  static_cast<void>(files_.remove(path_));
}

Result<SpoolFile::Piece> SpoolFile::write(Bytes plain) {
  if (file_ == nullptr) {
    SR_TRY(files_.remove(path_));
    SR_ASSIGN(file_, files_.open_append(path_, 0, 0));
  }
  std::string sealed;
  sealed.reserve(plain.size() + crypto::kGcmTagSize);
  crypto::gcm_seal(key_.read(SecretAccess{}), nonce_of(pieces_), {}, plain, sealed);
  const Piece piece{pieces_++, file_->size(), plain.size()};
  SR_TRY(file_->append(as_bytes(sealed)));
  return piece;
}

Result<void> SpoolFile::read(const Piece& piece, MutableBytes plain) const {
  const uint64_t size = piece.size + crypto::kGcmTagSize;
  SR_ASSIGN(const std::string sealed, files_.read_range(path_, piece.offset, size));
  if (sealed.size() != size || plain.size() != piece.size) return damaged_spool();
  if (!crypto::gcm_open(key_.read(SecretAccess{}), nonce_of(piece.number), {}, as_bytes(sealed),
                        plain)) {
    return damaged_spool();
  }
  return {};
}

}  // namespace strongroom::index
