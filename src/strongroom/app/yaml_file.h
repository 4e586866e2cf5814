// YAML files that a person wrote, read with errors that name the line.
#pragma once

#include <string>

#include "strongroom/app/cli.h"
#include "strongroom/env/files.h"
#include "strongroom/rpc/yaml.h"

namespace strongroom::app {

// 0 and `message` filled, or the exit status after saying what is wrong and where.
template <class Message>
int read_yaml_file(const Global& global, const std::string& path, Message& message) {
  const auto text = env::real_files().read(path, uint64_t{1} << 20);
  if (!text) return fail(global, text.error(), path);
  rpc::YamlError where;
  if (const auto parsed = rpc::parse_yaml(*text, message, &where); !parsed) {
    std::string place = path;
    if (where.line > 0) place += ":" + std::to_string(where.line);
    if (!where.key.empty()) place += ": " + where.key;
    return fail(global, make_error(parsed.error().code, parsed.error().text), place);
  }
  return kDone;
}

}  // namespace strongroom::app
