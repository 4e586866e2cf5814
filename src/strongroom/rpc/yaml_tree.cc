#include "strongroom/rpc/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <sstream>

namespace strongroom::rpc {
namespace {

constexpr size_t kYamlBytesMax = 1u << 20;
constexpr size_t kDepthMax = 32;

// Leaves yaml-cpp from inside its callbacks; caught below, in this file.
struct Refused {
  const char* text;
  YAML::Mark mark;
};

// RFC 3629, and no NUL: yaml-cpp would take it for UTF-16.
bool valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t size = lead < 0x80   ? 1
                        : lead < 0xc2 ? 0
                        : lead < 0xe0 ? 2
                        : lead < 0xf0 ? 3
                        : lead < 0xf5 ? 4
                                      : 0;
    if (lead == 0 || size == 0 || size > text.size() - i) return false;
    uint32_t point = size == 1 ? lead : lead & (0x7fu >> size);
    for (size_t k = 1; k < size; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      point = (point << 6) | (next & 0x3f);
    }
    if ((size == 3 && point < 0x800) || (size == 4 && (point < 0x10000 || point > 0x10ffff)) ||
        (point >= 0xd800 && point < 0xe000)) {
      return false;
    }
    i += size;
  }
  return true;
}

class TreeBuilder : public YAML::EventHandler {
 public:
  YamlNode root;
  bool any = false;

 private:
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (any) throw Refused{"only one document a file; remove the second ---", mark};
    any = true;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(mark, anchor, "", YamlNode::Kind::kNull);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refused{"aliases are not taken; write the value out", mark};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    // yaml-cpp 0.7 writes the escapes \N and \_ as one byte of Latin-1, and \0 as a NUL.
    if (!valid_utf8(value)) throw Refused{"this text has an escape that is not taken", mark};
    YamlNode& node = add(mark, anchor, tag, YamlNode::Kind::kScalar);
    node.text = value;
    node.quoted = tag == "!";
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open_.push_back(&add(mark, anchor, tag, YamlNode::Kind::kList));
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open_.push_back(&add(mark, anchor, tag, YamlNode::Kind::kMap));
  }
  void OnMapEnd() override { open_.pop_back(); }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    throw Refused{"anchors are not taken; write the value out", mark};
  }

  YamlNode& add(const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& tag,
                YamlNode::Kind kind) {
    if (anchor != YAML::NullAnchor) {
      throw Refused{"anchors are not taken; write the value out", mark};
    }
    // "?" and "!" are yaml-cpp's for plain and quoted.
    if (!tag.empty() && tag != "?" && tag != "!") throw Refused{"tags are not taken", mark};
    if (open_.size() >= kDepthMax) throw Refused{"nested too deeply", mark};
    // Safe to point to: a node's parent gets no further child before the node is closed.
    YamlNode& node = open_.empty() ? root : open_.back()->children.emplace_back();
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  std::vector<YamlNode*> open_;
};

}  // namespace

Result<YamlNode> parse_yaml_tree(std::string_view text, YamlPlace* where) {
  *where = {};
  if (text.size() > kYamlBytesMax) {
    return make_error(ErrorCode::kInvalidArgument, "the file is larger than 1 MiB");
  }
  if (!valid_utf8(text)) {
    return make_error(ErrorCode::kInvalidArgument, "the file is not UTF-8 text");
  }
  const char* why = nullptr;
  TreeBuilder builder;
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refused& refused) {
    why = refused.text;
    *where = {refused.mark.line + 1, refused.mark.column + 1};
  } catch (const YAML::Exception& error) {
    why = "not valid YAML; check indentation, colons and quotes";
    *where = {error.mark.line + 1, error.mark.column + 1};
  } catch (const std::exception&) {
    why = "not valid YAML";
  }
  if (why == nullptr && !builder.any) why = "the file is empty";
  if (why != nullptr) {
    return make_error(ErrorCode::kInvalidArgument, why, where->line > 0 ? where->line : -1);
  }
  return std::move(builder.root);
}

}  // namespace strongroom::rpc
