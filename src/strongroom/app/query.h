// What find, get and count share: options, terms, tickets, and how records are shown.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/app/term_syntax.h"

namespace strongroom::app {

inline constexpr char kTermHelp[] =
    "field=value, a|b for either, field=from..to, field^prefix, field~name, field:words, != for "
    "not; "
    "several must all match";

struct QueryOptions {
  std::string collection;
  std::string purpose;
  std::string case_reference;
  std::vector<std::string> fields;
  bool masked = false;
  bool explain = false;
  uint32_t limit = 20;
};
// --purpose, --case; and with `records` --fields and --masked.
void add_query_options(CLI::App& command, QueryOptions& options, bool records);

// A connection to the gateway and a ticket for this query.
struct OpenedQuery {
  Credential credential;
  v1::Collection schema;
  v1::SignedTicket ticket;
  std::unique_ptr<VaultClient> vault;
};
Result<OpenedQuery> open_query(const Global& global, const QueryOptions& options,
                               uint64_t records_max, std::string changes = {});

// As fail(); of a refusal by the policy it also says whom to ask.
int fail_query(const Global& global, const Error& error, std::string_view about = {});

// Empty if there is none of this id.
std::string field_name(const v1::Collection& schema, int64_t id);

// The call, answered; on a refusal that is about a field `about` says which.
template <class Request, class Response>
Result<Response> ask(OpenedQuery& query, const char* method, const Request& request,
                     std::string& about) {
  auto response = query.vault->call<Request, Response>(method, request);
  if (!response && response.error().code == ErrorCode::kSearchDenied) {
    about = field_name(query.schema, response.error().number);
  }
  return response;
}
void show_records(const Global& global, const v1::Collection& schema,
                  const v1::FindResponse& response, bool explain);

}  // namespace strongroom::app
