// bench_lookup_load CREDENTIAL PEOPLE CLIENTS SECONDS
//
// Finds people by phone through the gateway's door, as an application does that holds a clerk's
// credential: TLS 1.3, connections kept open, each with one request outstanding, a fresh request id
// each, phones drawn at random among those run.py gave to rows 0..PEOPLE-1. Every answer is parsed
// and must hold exactly one record, with the phone asked for. Prints one JSON object. Exits 1 where
// any request was refused or answered wrongly: such a run has no speed.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "kept_ticket.h"
#include "strongroom/app/client.h"
#include "strongroom/crypto/random.h"
#include "strongroom/rpc/load_client.h"

namespace {

using strongroom::Result;
using Steady = std::chrono::steady_clock;

constexpr char kFindPath[] = "/strongroom.v1.VaultService/Find";
constexpr size_t kPhoneSize = 11;
constexpr size_t kRequestIdSize = 16;

// The same as in postgres.py: row i has this phone, and no other row has.
std::string phone_of(uint64_t i) {
  return std::to_string(13'000'000'000 + (i * 4'294'967'291 + 1'234'567) % 7'000'000'000);
}

// One connection: a serialized FindRequest in which request id and phone are replaced in place.
struct Line {
  strongroom::bench::KeptTicket ticket;
  std::string body{};
  size_t id_at = 0;
  size_t phone_at = 0;
  uint64_t requests = 0;
  std::string phone{};
};

class Load {
 public:
  Load(const strongroom::app::Credential& credential, uint32_t collection, uint64_t people,
       int clients)
      : credential_(credential),
        random_(seed()),
        rows_(0, people - 1),
        lines_(static_cast<size_t>(clients), Line{.ticket = {credential, collection}}) {}

  Result<strongroom::rpc::LoadResult> run(double seconds);
  uint64_t wrong() const { return wrong_; }

 private:
  static uint64_t seed();
  void compose(Line& line);
  void next(Line& line, strongroom::rpc::LoadCall& call);
  void check(Line& line, int status, std::string_view body);

  const strongroom::app::Credential& credential_;
  std::mt19937_64 random_;
  std::uniform_int_distribution<uint64_t> rows_;
  std::vector<Line> lines_;
  strongroom::v1::FindResponse response_;
  uint64_t wrong_ = 0;
  bool complained_ = false;
};

uint64_t Load::seed() {
  strongroom::ByteArray<8> bytes;
  strongroom::crypto::random_bytes(bytes);
  return strongroom::load_le<uint64_t>(bytes.data());
}

void Load::compose(Line& line) {
  strongroom::v1::FindRequest request;
  *request.mutable_ticket() = line.ticket.signed_ticket();
  const std::string id = strongroom::app::fresh_id();
  const std::string phone(kPhoneSize, '#');
  request.set_request_id(id);
  auto& term = *request.add_terms();
  term.set_field("phone");
  term.set_value(phone);
  line.body = request.SerializeAsString();
  line.id_at = line.body.find(id);
  line.phone_at = line.body.rfind(phone);
}

void Load::next(Line& line, strongroom::rpc::LoadCall& call) {
  if (line.ticket.renew_if_due()) compose(line);
  ++line.requests;
  line.phone = phone_of(rows_(random_));
  // The id's first half is random since compose(); the second counts.
  memcpy(line.body.data() + line.id_at + kRequestIdSize / 2, &line.requests, sizeof line.requests);
  memcpy(line.body.data() + line.phone_at, line.phone.data(), kPhoneSize);
  call.path = kFindPath;
  call.body = line.body;
}

void Load::check(Line& line, int status, std::string_view body) {
  line.ticket.answered(1);
  if (status != 200) {
    if (!complained_) strongroom::bench::complain(status, body);
    complained_ = true;
    return;
  }
  bool right = response_.ParseFromArray(body.data(), static_cast<int>(body.size())) &&
               response_.records_size() == 1;
  if (right) {
    const auto& fields = response_.records(0).fields();
    const auto phone = fields.find("phone");
    right = phone != fields.end() &&
            (phone->second == line.phone || phone->second == "+86" + line.phone);
  }
  if (!right) ++wrong_;
}

Result<strongroom::rpc::LoadResult> Load::run(double seconds) {
  SR_ASSIGN(auto endpoint, endpoint_of(credential_.connection.gateway_at, credential_.connection));
  const auto end = Steady::now() + std::chrono::duration<double>(seconds);
  const auto line_of = [this](int connection) -> Line& {
    return lines_[static_cast<size_t>(connection)];
  };
  return strongroom::rpc::run_load(
      {.endpoint = std::move(endpoint),
       .connections = static_cast<int>(lines_.size()),
       .next =
           [&](int connection, strongroom::rpc::LoadCall& call) {
             if (Steady::now() >= end) return false;
             next(line_of(connection), call);
             return true;
           },
       .reply = [&](int connection, int status,
                    std::string_view body) { check(line_of(connection), status, body); }});
}

Result<int> measure(const char* credential_path, uint64_t people, int clients, double seconds) {
  SR_ASSIGN(const auto credential, strongroom::app::load_credential(credential_path));
  SR_ASSIGN(auto admin, strongroom::app::AdminClient::connect(credential));
  SR_ASSIGN(const auto person, admin->collection("bench_person"));
  Load load(credential, person.id(), people, clients);
  SR_ASSIGN(const auto result, load.run(seconds));
  const uint64_t errors = result.errors + load.wrong();
  std::printf(
      "{\"clients\":%d,\"seconds\":%.3f,\"requests\":%zu,\"errors\":%llu,\"per_second\":%.1f,"
      "\"p50_us\":%.1f,\"p95_us\":%.1f,\"p99_us\":%.1f}\n",
      clients, result.seconds, result.latencies_us.size(), static_cast<unsigned long long>(errors),
      result.per_second(), result.percentile_us(50), result.percentile_us(95),
      result.percentile_us(99));
  return errors == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bench_lookup_load CREDENTIAL PEOPLE CLIENTS SECONDS\n");
    return 2;
  }
  const long long people = std::strtoll(argv[2], nullptr, 10);
  const long clients = std::strtol(argv[3], nullptr, 10);
  const double seconds = std::strtod(argv[4], nullptr);
  if (people < 1 || clients < 1 || clients > 1000 || !(seconds > 0)) {
    std::fprintf(stderr, "bench_lookup_load: people, clients and seconds are 1 or more\n");
    return 2;
  }
  strongroom::crypto::init();
  const auto status =
      measure(argv[1], static_cast<uint64_t>(people), static_cast<int>(clients), seconds);
  if (!status) {
    std::fprintf(stderr, "bench_lookup_load: %s\n", status.error().text);
    return 1;
  }
  return *status;
}
