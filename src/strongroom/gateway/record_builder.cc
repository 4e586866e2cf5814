#include "strongroom/gateway/record_builder.h"

#include <algorithm>

#include "strongroom/index/directory.h"

namespace strongroom::gateway {
namespace {

constexpr size_t kValueHeader = 5;  // Of a value in its group: field and length.
// Padding adds less than an eighth, the seal 28 bytes.
constexpr size_t kGroupPlainMax = record::kGroupBytesMax / 8 * 7;

}  // namespace

void BuiltRecord::wipe() {
  for (auto* strings : {&stored, &masked}) {
    for (auto& s : *strings) explicit_bzero(s.data(), s.size());
  }
  explicit_bzero(content.data(), content.size());
}

RecordBuilder::RecordBuilder(std::shared_ptr<const Collection> collection, const TermKey& key)
    : collection_(std::move(collection)), hasher_(term_key_of(key, *collection_)) {}

bool RecordBuilder::index(const Columns& columns, std::span<const std::string_view> values,
                          BuiltRecord& out, BuildProblem& problem) {
  const auto& fields = collection_->fields;
  out.stored.resize(fields.size());
  out.masked.resize(fields.size());
  for (auto& s : out.stored) s.clear();
  for (auto& s : out.masked) s.clear();
  out.terms.clear();
  out.terms.reserve(terms_before_);
  norms_.assign(collection_->composites.empty() ? 0 : fields.size(), {});
  out.unique.assign(collection_->unique_fields.size(), TermHash{});
  out.has_unique.assign(collection_->unique_fields.size(), false);
  out.content.clear();

  for (size_t c = 0; c < columns.size(); ++c) {
    const size_t at = columns[c];
    const Field& field = fields[at];
    const std::string_view value = values[c];
    if (value.empty()) continue;
    problem.field = &field;
    if (value.size() > field.max_bytes) {
      problem.reason = "longer than this field allows";
      return false;
    }
    if (!index::valid_utf8(value)) {
      problem.reason = "not valid UTF-8";
      return false;
    }
    auto forms = index::forms_of(field.type, value, field.region);
    if (!forms) {
      problem.reason = forms.error().text;
      return false;
    }
    out.stored[at] = std::move(forms->stored);
    if (out.stored[at].empty()) continue;
    if (field.index.any() || field.unique) {
      field_terms_.clear();
      if (const auto made = index::value_terms(field.index, forms->norm, field_terms_); !made) {
        problem.reason = made.error().text;
        return false;
      }
      for (const auto& term : field_terms_) {
        out.terms.push_back(hasher_(collection_->id, field.id, term.kind, term.norm));
      }
      if (!collection_->composites.empty()) norms_[at] = forms->norm;
      if (field.unique) {
        const auto pos = static_cast<size_t>(
            std::find(collection_->unique_fields.begin(), collection_->unique_fields.end(), at) -
            collection_->unique_fields.begin());
        out.unique[pos] = hasher_(collection_->id, field.id, index::Kind::kUnique, forms->norm);
        out.has_unique[pos] = true;
      }
    }
    if (field.mask != v1::MASK_UNSPECIFIED) out.masked[at] = masked(field.mask, out.stored[at]);
  }

  for (const Composite& composite : collection_->composites) {
    const auto key = composite_norm(composite, [&](const Composite::Part& part) {
      const std::string& norm = norms_[part.field];
      return norm.empty() ? std::string()
                          : part_of(collection_->fields[part.field].index, part, norm);
    });
    if (key) {
      out.terms.push_back(
          hasher_(collection_->id, FieldId{composite.id}, index::Kind::kComposite, *key));
    }
  }
  std::sort(out.terms.begin(), out.terms.end());
  out.terms.erase(std::unique(out.terms.begin(), out.terms.end()), out.terms.end());

  terms_before_ = out.terms.size();
  if (out.terms.size() > index::kTermsPerWriteMax) {
    problem.field = nullptr;
    problem.reason = "too many different words in its texts together; split them";
    return false;
  }

  return true;
}

bool RecordBuilder::build(const Columns& columns, std::span<const std::string_view> values,
                          BuiltRecord& out, BuildProblem& problem) {
  if (!index(columns, values, out, problem)) return false;
  const auto& fields = collection_->fields;
  for (size_t at = 0; at < fields.size(); ++at) {
    if (fields[at].required && out.stored[at].empty()) {
      problem.field = &fields[at];
      problem.reason = "missing, and this field is required";
      return false;
    }
    append_be(out.content, fields[at].id.value);
    append_be(out.content, out.stored[at].size(), 4);
    out.content += out.stored[at];
  }
  out.groups.resize(collection_->groups.size());
  for (size_t g = 0; g < out.groups.size(); ++g) {
    out.groups[g].group = collection_->groups[g].id;
    out.groups[g].bytes_min = collection_->groups[g].bytes_min;
    out.groups[g].values.clear();
    size_t bytes = 1;
    const bool is_masked = out.groups[g].group == kMaskedGroup;
    for (size_t at = 0; at < fields.size(); ++at) {
      if (!is_masked && fields[at].group != out.groups[g].group) continue;
      const std::string& value = is_masked ? out.masked[at] : out.stored[at];
      if (value.empty()) continue;
      out.groups[g].values.push_back({fields[at].id, value});
      bytes += kValueHeader + value.size();
    }
    if (bytes > kGroupPlainMax) {
      problem.field = nullptr;
      problem.reason = "too long a record: its values together do not fit";
      return false;
    }
  }
  return true;
}

}  // namespace strongroom::gateway
