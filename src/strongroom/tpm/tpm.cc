#include "strongroom/tpm/tpm.h"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>

#include <cstring>
#include <optional>

#include "strongroom/tpm/fd_tcti.h"

namespace strongroom::tpm {
namespace {

constexpr size_t kBlobMax = 4096;

Error refused(TSS2_RC rc) {
  return make_error(ErrorCode::kUnavailable,
                    "The TPM does not answer, or refuses (the number is its response code). Check "
                    "that it is there and that nothing else holds it; nothing was changed.",
                    static_cast<int64_t>(rc));
}

// Without the bits that say which handle, parameter or session, for codes of that format.
TSS2_RC code_of(TSS2_RC rc) {
  return (rc & TPM2_RC_FMT1) != 0 ? rc & (TPM2_RC_FMT1 | 0x3f) : rc;
}

template <class T>
struct EsysFree {
  void operator()(T* pointer) const { Esys_Free(pointer); }
};
template <class T>
using Owned = std::unique_ptr<T, EsysFree<T>>;

// The storage primary key: ECC P-256, AES-128-CFB for what hangs on it.
TPM2B_PUBLIC primary_template() {
  TPM2B_PUBLIC out{};
  TPMT_PUBLIC& area = out.publicArea;
  area.type = TPM2_ALG_ECC;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                          TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                          TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
  TPMS_ECC_PARMS& ecc = area.parameters.eccDetail;
  ecc.symmetric.algorithm = TPM2_ALG_AES;
  ecc.symmetric.keyBits.aes = 128;
  ecc.symmetric.mode.aes = TPM2_ALG_CFB;
  ecc.scheme.scheme = TPM2_ALG_NULL;
  ecc.curveID = TPM2_ECC_NIST_P256;
  ecc.kdf.scheme = TPM2_ALG_NULL;
  return out;
}

TPM2B_PUBLIC sealed_template() {
  TPM2B_PUBLIC out{};
  out.publicArea.type = TPM2_ALG_KEYEDHASH;
  out.publicArea.nameAlg = TPM2_ALG_SHA256;
  out.publicArea.objectAttributes =
      TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA;
  out.publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
  return out;
}

}  // namespace

struct Tpm::Impl {
  std::unique_ptr<FdTcti> tcti;
  ESYS_CONTEXT* esys = nullptr;

  ~Impl() {
    if (esys != nullptr) Esys_Finalize(&esys);
  }
  Result<ESYS_TR> make_primary();
  // The handle of an index; nothing: there is none.
  Result<std::optional<ESYS_TR>> find(uint32_t nv_index);
};

namespace {

// Flushes what it holds.
class Loaded {
 public:
  Loaded(ESYS_CONTEXT* esys, ESYS_TR handle) : esys_(esys), handle_(handle) {}
  ~Loaded() { Esys_FlushContext(esys_, handle_); }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ESYS_TR get() const { return handle_; }

 private:
  ESYS_CONTEXT* esys_;
  ESYS_TR handle_;
};

}  // namespace

Tpm::Tpm(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tpm::~Tpm() = default;

Result<std::unique_ptr<Tpm>> Tpm::open(const std::string& tcti) {
  // Its own messages name nothing that helps. No other thread runs yet.
  setenv("TSS2_LOG", "all+NONE", 0);  // NOLINT(concurrency-mt-unsafe)
  auto impl = std::make_unique<Impl>();
  SR_ASSIGN(impl->tcti, FdTcti::open(tcti));
  if (const TSS2_RC rc = Esys_Initialize(&impl->esys, impl->tcti->context(), nullptr)) {
    return refused(rc);
  }
  // So that it is known to answer, and the libraries have opened what they open.
  SR_ASSIGN(const ESYS_TR primary, impl->make_primary());
  Esys_FlushContext(impl->esys, primary);
  return std::unique_ptr<Tpm>(new Tpm(std::move(impl)));
}

Result<ESYS_TR> Tpm::Impl::make_primary() {
  const TPM2B_SENSITIVE_CREATE sensitive{};
  const TPM2B_PUBLIC in = primary_template();
  const TPM2B_DATA outside{};
  const TPML_PCR_SELECTION pcrs{};
  ESYS_TR handle = ESYS_TR_NONE;
  const TSS2_RC rc = Esys_CreatePrimary(esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                        ESYS_TR_NONE, &sensitive, &in, &outside, &pcrs, &handle,
                                        nullptr, nullptr, nullptr, nullptr);
  return rc == TSS2_RC_SUCCESS ? Result<ESYS_TR>(handle) : refused(rc);
}

Result<SealedKey> Tpm::seal(const SealingKey& key) {
  SR_ASSIGN(const ESYS_TR made, impl_->make_primary());
  const Loaded primary(impl_->esys, made);
  TPM2B_SENSITIVE_CREATE sensitive{};
  sensitive.sensitive.data.size = SealingKey::kSize;
  memcpy(sensitive.sensitive.data.buffer, key.read(SecretAccess{}).data(), SealingKey::kSize);
  const TPM2B_PUBLIC in = sealed_template();
  const TPM2B_DATA outside{};
  const TPML_PCR_SELECTION pcrs{};
  TPM2B_PRIVATE* private_part = nullptr;
  TPM2B_PUBLIC* public_part = nullptr;
  const TSS2_RC rc = Esys_Create(impl_->esys, primary.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                 ESYS_TR_NONE, &sensitive, &in, &outside, &pcrs, &private_part,
                                 &public_part, nullptr, nullptr, nullptr);
  explicit_bzero(&sensitive, sizeof sensitive);
  if (rc != TSS2_RC_SUCCESS) return refused(rc);
  const Owned<TPM2B_PRIVATE> owned_private(private_part);
  const Owned<TPM2B_PUBLIC> owned_public(public_part);
  SealedKey out;
  uint8_t buffer[kBlobMax];
  size_t size = 0;
  if (const TSS2_RC bad = Tss2_MU_TPM2B_PUBLIC_Marshal(public_part, buffer, sizeof buffer, &size)) {
    return refused(bad);
  }
  out.public_part.assign(reinterpret_cast<const char*>(buffer), size);
  size = 0;
  if (const TSS2_RC bad =
          Tss2_MU_TPM2B_PRIVATE_Marshal(private_part, buffer, sizeof buffer, &size)) {
    return refused(bad);
  }
  out.private_part.assign(reinterpret_cast<const char*>(buffer), size);
  return out;
}

Result<SealingKey> Tpm::unseal(const SealedKey& sealed) {
  const Error damaged = make_error(ErrorCode::kDataLoss,
                                   "What vault.json has of a TPM is damaged, or was sealed to "
                                   "another one. Open the vault with shares.");
  TPM2B_PUBLIC public_part{};
  TPM2B_PRIVATE private_part{};
  size_t at = 0;
  const Bytes pub = as_bytes(sealed.public_part), priv = as_bytes(sealed.private_part);
  if (pub.size() > kBlobMax || priv.size() > kBlobMax ||
      Tss2_MU_TPM2B_PUBLIC_Unmarshal(pub.data(), pub.size(), &at, &public_part) != 0) {
    return damaged;
  }
  at = 0;
  if (Tss2_MU_TPM2B_PRIVATE_Unmarshal(priv.data(), priv.size(), &at, &private_part) != 0) {
    return damaged;
  }
  SR_ASSIGN(const ESYS_TR made, impl_->make_primary());
  const Loaded primary(impl_->esys, made);
  ESYS_TR handle = ESYS_TR_NONE;
  // Whatever it says: that these are not of this TPM is the likely reason.
  if (Esys_Load(impl_->esys, primary.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                &private_part, &public_part, &handle) != TSS2_RC_SUCCESS) {
    return damaged;
  }
  const Loaded object(impl_->esys, handle);
  TPM2B_SENSITIVE_DATA* data = nullptr;
  if (const TSS2_RC rc = Esys_Unseal(impl_->esys, object.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                     ESYS_TR_NONE, &data)) {
    return refused(rc);
  }
  const Owned<TPM2B_SENSITIVE_DATA> owned(data);
  std::optional<SealingKey> key;
  if (data->size == SealingKey::kSize) {
    key.emplace(Bytes(data->buffer, SealingKey::kSize).first<SealingKey::kSize>());
  }
  explicit_bzero(data->buffer, sizeof data->buffer);
  if (!key) return damaged;
  return std::move(*key);
}

Result<std::optional<ESYS_TR>> Tpm::Impl::find(uint32_t nv_index) {
  SR_CHECK(nv_index >= kNvFirst && nv_index < kNvEnd, "an index of the owner's");
  ESYS_TR handle = ESYS_TR_NONE;
  const TSS2_RC rc =
      Esys_TR_FromTPMPublic(esys, nv_index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &handle);
  if (rc == TSS2_RC_SUCCESS) return std::optional(handle);
  if (code_of(rc) == TPM2_RC_HANDLE) return std::optional<ESYS_TR>();
  return refused(rc);
}

Result<NvSecret> Tpm::read(uint32_t nv_index) {
  const Error none = make_error(ErrorCode::kNotFound, "The TPM holds no such secret.");
  SR_ASSIGN(std::optional<ESYS_TR> handle, impl_->find(nv_index));
  if (!handle) return none;
  TPM2B_MAX_NV_BUFFER* data = nullptr;
  const TSS2_RC rc =
      Esys_NV_Read(impl_->esys, ESYS_TR_RH_OWNER, *handle, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                   ESYS_TR_NONE, static_cast<uint16_t>(NvSecret::kSize), 0, &data);
  Esys_TR_Close(impl_->esys, &*handle);
  // A crash came between its definition and the write.
  if (rc == TPM2_RC_NV_UNINITIALIZED) return none;
  if (rc != TSS2_RC_SUCCESS) return refused(rc);
  const Owned<TPM2B_MAX_NV_BUFFER> owned(data);
  std::optional<NvSecret> secret;
  if (data->size == NvSecret::kSize) {
    secret.emplace(Bytes(data->buffer, NvSecret::kSize).first<NvSecret::kSize>());
  }
  explicit_bzero(data->buffer, sizeof data->buffer);
  if (!secret) return none;
  return std::move(*secret);
}

Result<void> Tpm::write(uint32_t nv_index, const NvSecret& secret) {
  SR_TRY(destroy(nv_index));
  TPM2B_NV_PUBLIC space{};
  space.nvPublic.nvIndex = nv_index;
  space.nvPublic.nameAlg = TPM2_ALG_SHA256;
  space.nvPublic.attributes = TPMA_NV_OWNERWRITE | TPMA_NV_OWNERREAD | TPMA_NV_NO_DA;
  space.nvPublic.dataSize = NvSecret::kSize;
  const TPM2B_AUTH no_auth{};
  ESYS_TR handle = ESYS_TR_NONE;
  if (const TSS2_RC rc =
          Esys_NV_DefineSpace(impl_->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                              ESYS_TR_NONE, &no_auth, &space, &handle)) {
    return refused(rc);
  }
  TPM2B_MAX_NV_BUFFER data{};
  data.size = NvSecret::kSize;
  memcpy(data.buffer, secret.read(SecretAccess{}).data(), NvSecret::kSize);
  const TSS2_RC rc = Esys_NV_Write(impl_->esys, ESYS_TR_RH_OWNER, handle, ESYS_TR_PASSWORD,
                                   ESYS_TR_NONE, ESYS_TR_NONE, &data, 0);
  explicit_bzero(&data, sizeof data);
  Esys_TR_Close(impl_->esys, &handle);
  return rc == TSS2_RC_SUCCESS ? Result<void>() : refused(rc);
}

Result<void> Tpm::destroy(uint32_t nv_index) {
  SR_ASSIGN(const std::optional<ESYS_TR> handle, impl_->find(nv_index));
  if (!handle) return {};
  const TSS2_RC rc = Esys_NV_UndefineSpace(impl_->esys, ESYS_TR_RH_OWNER, *handle, ESYS_TR_PASSWORD,
                                           ESYS_TR_NONE, ESYS_TR_NONE);
  return rc == TSS2_RC_SUCCESS ? Result<void>() : refused(rc);
}

}  // namespace strongroom::tpm
