#include "strongroom/keyserver/exports.h"

#include "strongroom/crypto/hash.h"
#include "strongroom/v1/vault.pb.h"

namespace strongroom::keyserver {

const Export* Exports::find(uint64_t request) const {
  const auto it = exports_.find(request);
  return it == exports_.end() ? nullptr : &it->second;
}

void Exports::approved(uint64_t request, Export added, uint64_t t_ms) {
  std::erase_if(exports_, [&](const auto& item) { return item.second.until_ms < t_ms; });
  exports_.insert_or_assign(request, std::move(added));
}

bool Exports::opened(uint64_t request, uint64_t records, uint64_t leaf) {
  const auto it = exports_.find(request);
  if (it == exports_.end()) return false;
  it->second.exported += records;
  it->second.last_leaf = leaf;
  return true;
}

std::string export_search(const v1::ExportPlan& plan) {
  v1::FindRequest terms;
  *terms.mutable_terms() = plan.terms();
  std::string bytes = terms.SerializeAsString();
  append_be(bytes, plan.collection());
  return std::string(as_text(crypto::sha256(as_bytes(bytes))));
}

}  // namespace strongroom::keyserver
