#include <iostream>

#include "strongroom/app/long_job.h"
#include "strongroom/app/progress.h"
#include "strongroom/app/query.h"
#include "strongroom/env/clock.h"

namespace strongroom::app {
namespace {

struct ReindexOptions : QueryOptions {
  uint32_t step = 8192;
};

Result<void> run(const Global& global, const ReindexOptions& options) {
  SR_ASSIGN(const auto query, open_query(global, options, options.step));
  stop_between_steps();
  std::unique_ptr<Progress> progress;
  v1::ReindexResponse done;
  while (!stop_wanted() && !done.finished()) {
    // A ticket a step: a long job outlives any one of them.
    TicketTerms terms;
    terms.purpose = options.purpose;
    terms.case_reference = options.case_reference;
    terms.collection = query.schema.id();
    terms.records_max = options.step;
    v1::ReindexRequest request;
    *request.mutable_ticket() = sign_ticket(query.credential, terms, env::real_clock().wall_ms());
    request.set_request_id(fresh_id());
    request.set_records_max(options.step);
    auto step = query.vault->call<v1::ReindexRequest, v1::ReindexResponse>("Reindex", request);
    if (step) {
      done = std::move(*step);
      if (progress == nullptr) progress = std::make_unique<Progress>("records", done.records());
      progress->update(done.passed(), done.indexed());
    } else if (step.error().code == ErrorCode::kBudgetExhausted &&
               step.error().retry_after_ms > 0 && progress != nullptr) {
      wait_shown(step.error().retry_after_ms, [&](int64_t seconds) {
        progress->update(done.passed(), done.indexed(),
                         "waits " + std::to_string(seconds) + " s for its budget");
      });
    } else {
      return step.error();
    }
  }
  if (progress != nullptr) progress->clear();
  if (!done.finished()) {
    return make_error(ErrorCode::kUnavailable,
                      "stopped; what is indexed stays so (the number is how many). Run the same "
                      "command again to go on",
                      static_cast<int64_t>(done.indexed()));
  }
  if (global.json) {
    std::cout << "{\"indexed\":" << done.indexed()
              << ",\"renewed\":" << (done.renews() ? "true" : "false") << ",\"finished\":true}\n";
  } else if (done.renews()) {
    std::cout << format_count(done.indexed()) << " records indexed; all terms of "
              << query.schema.name() << " are under a fresh key, and the old ones are gone\n";
  } else {
    std::cout << format_count(done.indexed()) << " records indexed; all indexes of "
              << query.schema.name() << " are complete\n";
  }
  return {};
}

}  // namespace

void add_reindex(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<ReindexOptions>();
  auto* command = app.add_subcommand(
      "reindex",
      "Bring the records there are under indexes that were added, or under a fresh key; goes on "
      "where it stopped");
  command->add_option("COLLECTION", options->collection, "Such as person")->required();
  add_query_options(*command, *options, false);
  command->add_option("--step", options->step, "Records at a time, in one lane (8192)")
      ->check(CLI::Range(1, 16'384));
  command->footer(
      "Opens every record that is older than the index: approved by several with the index, "
      "metered,\n"
      "and logged before it is opened. Searches and imports go on.\n"
      "Example:\n"
      "  strongroom reindex person --purpose reindexing --credential operator.json\n"
      "Before it: collection apply or collection renew-terms, approve.");
  command->callback([&global, &status, options] {
    if (const auto done = run(global, *options); !done) status = fail_query(global, done.error());
  });
}

}  // namespace strongroom::app
