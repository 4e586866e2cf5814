#include <unistd.h>

#include <iostream>
#include <memory>

#include "strongroom/app/cli.h"
#include "strongroom/synth/synth.h"
#include "strongroom/synth/writer.h"

namespace strongroom::app {
namespace {

constexpr size_t kFlushBytes = size_t{1} << 20;

struct GenerateOptions {
  std::string collection;
  uint64_t count = 0;
  uint64_t seed = 1;
  std::string format = "csv";
};

Result<void> write_all(std::string& buffer) {
  for (size_t at = 0; at < buffer.size();) {
    const ssize_t n = write(STDOUT_FILENO, buffer.data() + at, buffer.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return make_error(ErrorCode::kUnavailable, "standard output cannot be written to");
    at += static_cast<size_t>(n);
  }
  buffer.clear();
  return {};
}

Result<void> run(const GenerateOptions& options) {
  SR_ASSIGN(auto generator, synth::make_generator(options.collection, options.count, options.seed));
  const bool csv = options.format == "csv";
  const synth::NdjsonWriter ndjson(generator->columns());
  std::string buffer;
  buffer.reserve(kFlushBytes + (64 << 10));
  if (csv) synth::append_csv(generator->columns(), buffer);
  std::vector<std::string> values;
  while (generator->next(values)) {
    if (csv) {
      synth::append_csv(values, buffer);
    } else {
      ndjson.append(values, buffer);
    }
    if (buffer.size() >= kFlushBytes) SR_TRY(write_all(buffer));
  }
  return write_all(buffer);
}

}  // namespace

void add_generate(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<GenerateOptions>();
  auto* command = app.add_subcommand(
      "generate", "Invent people, incidents or parcels: the same for the same seed");
  command->add_option("COLLECTION", options->collection, "person, incident or parcel")->required();
  command->add_option("N", options->count, "How many")->required();
  command->add_option("--seed", options->seed, "Another seed, other people (1)");
  command->add_option("--format", options->format, "csv or ndjson (csv)")
      ->check(CLI::IsMember({"csv", "ndjson"}));
  command->footer("Example:\n  strongroom generate person 200000 --seed 7 > people.csv");
  command->callback([&global, &status, options] {
    if (const auto done = run(*options); !done) status = fail(global, done.error());
  });
}

}  // namespace strongroom::app
