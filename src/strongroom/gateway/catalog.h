// Collections as the key server's log has them, compiled for use: field and group look-ups, masks,
// who may see what.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/index/directory.h"
#include "strongroom/index/field_terms.h"
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
  index::FieldIndex index;
  v1::Mask mask = v1::MASK_UNSPECIFIED;
  std::string region;
  size_t max_bytes = 0;
  // Indexes that older records may lack: written, but not searched.
  struct Building {
    v1::IndexKind kind;
    size_t prefix;
  };
  std::vector<Building> building;
};

// Two or three values that have one term together.
struct Composite {
  struct Part {
    size_t field;      // Position in Collection::fields.
    index::Kind kind;  // kExact, kPrefix or kDateNode.
    size_t size;       // Of the term: characters of a prefix or of a node; 0: the whole value.
  };
  uint16_t id;
  std::vector<Part> parts;
  bool building = false;  // As Field::building.
};

struct Collection {
  CollectionId id;
  std::string name;
  uint32_t revision = 0;
  std::vector<Field> fields;          // Ascending by id.
  std::vector<size_t> unique_fields;  // Positions in `fields`.
  std::vector<Composite> composites;
  struct Group {
    GroupId id;
    size_t bytes_min = 0;
    bool operator==(const Group&) const = default;
  };
  std::vector<Group> groups;  // Ascending; the masked group first where any field has a mask.
  index::WritePadding write_padding = index::WritePadding::kNarrow;
  bool renewing = false;                 // Its terms are being made anew: no imports meanwhile.
  uint32_t renewals = 0;                 // Of its terms.
  std::shared_ptr<const TermSalt> salt;  // Of the last one.

  // Where its unique rows are.
  CollectionId space() const { return term_space(id, renewals); }

  // Position in `fields`, or nullopt.
  std::optional<size_t> find(std::string_view field_name) const;
  std::unordered_map<std::string, size_t> by_name;
  std::unordered_map<std::string, GroupId> group_by_name;
};

// What a composite's term is made of: its parts' terms, each with its length. Nullopt where a part
// has none.
std::optional<std::string> composite_norm(
    const Composite& composite, const std::function<std::string(const Composite::Part&)>& term_of);
// The term of one part, from the value's normal form; empty where it is too short.
std::string part_of(const index::FieldIndex& index, const Composite::Part& part,
                    std::string_view norm);

// What the collection's terms are made under: K_q itself, until they are renewed.
// docs/spec/renewal.md
TermKey term_key_of(const TermKey& term_key, const Collection& collection);

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
