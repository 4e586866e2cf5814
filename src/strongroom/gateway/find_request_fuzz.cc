// What a client may send to find, get and count: the first byte picks one. "@@" where a ticket is
// expected stands for a genuine one, '#' where a request id is for a fresh one.
#include <algorithm>
#include <set>

#include "test/support/gateway_vault.h"

using namespace strongroom;
using namespace strongroom::test;

namespace {

// One vault for the whole run.
GatewayVault& vault() {
  static GatewayVault vault;
  static const bool kMade = [] {
    Source source{"town", {"name", "number", "email", "city"}, "", {}, keyserver::kPerson};
    for (int i = 0; i < 40; ++i) {
      const std::string n = std::to_string(i);
      source.rows.push_back({"Wang " + n, "N" + n, "w" + n + "@x", i % 2 == 0 ? "a" : "b"});
    }
    SR_CHECK(vault.import(source).has_value(), "an import");
    return true;
  }();
  static_cast<void>(kMade);
  return vault;
}

template <class Request>
bool read(std::string_view bytes, Request& request) {
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
  static const v1::SignedTicket kTicket = vault().clerk();
  if (request.ticket().ticket().starts_with("@@")) *request.mutable_ticket() = kTicket;
  if (request.request_id().starts_with("#")) request.set_request_id(keyserver::fresh(16));
  return true;
}

void check(const Result<v1::FindResponse>& answer,
           const google::protobuf::RepeatedPtrField<std::string>& fields) {
  if (!answer) return;
  SR_CHECK(answer->records_size() <= 1000, "no more than one answer holds");
  for (const auto& record : answer->records()) {
    SR_CHECK(record.id().size() == 10, "an id");
    for (const auto& [name, value] : record.fields()) {
      SR_CHECK(fields.empty() || std::find(fields.begin(), fields.end(), name) != fields.end(),
               "only what was asked for");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest = as_text({data + 1, size - 1});
  if (data[0] % 3 == 0) {
    v1::FindRequest request;
    if (read(rest, request)) check(vault().find(request), request.fields());
  } else if (data[0] % 3 == 1) {
    v1::GetRequest request;
    if (read(rest, request)) check(vault().get(request), request.fields());
  } else {
    v1::CountRequest request;
    if (!read(rest, request)) return 0;
    const auto count = vault().loop().wait<v1::CountResponse>(
        [&](auto done) { vault().gateway().count(request, done); });
    SR_CHECK(!count || count->count() <= 40, "there are no more");
  }
  return 0;
}
