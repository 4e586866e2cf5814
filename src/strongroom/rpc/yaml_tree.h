// A YAML document as a plain tree with places, or the place where it stops being one we take.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "strongroom/base/result.h"

namespace strongroom::rpc {

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  bool quoted = false;
  int line = 0;  // 1-based.
  int column = 0;
  std::string text;                // kScalar.
  std::vector<YamlNode> children;  // kList; kMap: key, value, key, value...
};

struct YamlPlace {
  int line = 0;
  int column = 0;
};

// One document, UTF-8, at most 1 MiB and 32 levels, without anchors, aliases and tags.
//   kInvalidArgument
Result<YamlNode> parse_yaml_tree(std::string_view text, YamlPlace* where);

}  // namespace strongroom::rpc
