// Collections as the key server's log has them, compiled for use: field and group look-ups, masks,
// who may see what.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/index/normalise.h"
#include "strongroom/v1/keyservice.pb.h"

namespace strongroom::gateway {

inline constexpr GroupId kMaskedGroup{0};

struct Field {
  FieldId id;
  std::string name;
  index::ValueType type;
  GroupId group;
  bool required = false;
  bool unique = false;
  bool exact = false;
  v1::Mask mask = v1::MASK_UNSPECIFIED;
  std::string region;
  size_t max_bytes = 0;
};

struct Collection {
  CollectionId id;
  std::string name;
  std::vector<Field> fields;          // Ascending by id.
  std::vector<size_t> unique_fields;  // Positions in `fields`.
  std::vector<GroupId> groups;  // Ascending; the masked group first where any field has a mask.

  // Position in `fields`, or nullopt.
  std::optional<size_t> find(std::string_view field_name) const;
  std::unordered_map<std::string, size_t> by_name;
  std::unordered_map<std::string, GroupId> group_by_name;
};

// Immutable; a new one replaces it whenever the key server's revision changes.
class Catalog {
 public:
  explicit Catalog(const v1::SyncReply& sync);

  uint64_t revision() const { return revision_; }
  const std::string& vault() const { return vault_; }
  std::shared_ptr<const Collection> collection(CollectionId id) const;
  const std::vector<std::shared_ptr<const Collection>>& collections() const { return collections_; }
  // Bit g: group g may be opened by this principal in this collection, as far as the gateway knows.
  // The key server decides.
  uint32_t groups_for(std::string_view principal, std::string_view purpose,
                      CollectionId collection) const;

 private:
  uint64_t revision_;
  std::string vault_;
  std::vector<std::shared_ptr<const Collection>> collections_;
  v1::Policy policy_;
  std::unordered_map<std::string, std::string> role_of_;
};

// How `value` looks in the masked view. Only for fields with a mask.
std::string masked(v1::Mask mask, std::string_view value);

}  // namespace strongroom::gateway
