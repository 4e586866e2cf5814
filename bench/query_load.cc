// bench_query_load CREDENTIAL < QUERIES
//
// Asks the gateway's door as an application does that holds a clerk's credential: one TLS 1.3
// connection kept open, one ticket for many calls, a fresh request id each. Of the queries, each
// one line,
//
//   {"collection": "person", "terms": [{"field": "dob", "value": "1984-02-29"}],
//    "method": "find", "limit": 20, "repeat": 15}
//
// the terms are a FindRequest's. "find" asks for `limit` (1000) records once, "count" for the
// number of matches, "all" for every match: a thousand a page, each page's cursor sent for the
// next. Prints {"matches","more","p50_ms","min_ms","p90_ms"} for each, where matches are records
// received, or the count. A repetition takes from composing its first request until its last
// answer is parsed; one more goes before, untimed. Exits 1 at the first refusal or wrong answer:
// behind it no time would mean anything.
#include <google/protobuf/struct.pb.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <unordered_set>
#include <vector>

#include "kept_ticket.h"
#include "strongroom/app/client.h"
#include "strongroom/crypto/random.h"
#include "strongroom/env/clock.h"
#include "strongroom/rpc/load_client.h"

namespace {

using strongroom::ErrorCode;
using strongroom::make_error;
using strongroom::Result;

constexpr char kFindPath[] = "/strongroom.v1.VaultService/Find";
constexpr char kCountPath[] = "/strongroom.v1.VaultService/Count";
constexpr uint32_t kPageRecords = 1000;  // The most that the gateway opens at once.
constexpr uint32_t kRepeatMax = 1'000'000;

enum class Method { kFind, kCount, kAll };

struct Query {
  std::string collection{};
  Method method = Method::kFind;
  uint32_t repeat = 1;
  strongroom::v1::FindRequest asked{};  // Terms and limit.
};

struct Answer {
  uint64_t matches = 0;
  bool more = false;
  bool operator==(const Answer&) const = default;
};

Result<Method> method_of(const std::string& name) {
  if (name == "find") return Method::kFind;
  if (name == "count") return Method::kCount;
  if (name == "all") return Method::kAll;
  return make_error(ErrorCode::kInvalidArgument, "a query's method is find, count or all");
}

Result<uint32_t> number_of(const google::protobuf::Value& value, uint32_t most) {
  const double number = value.number_value();  // 0 where it is none.
  if (number >= 1 && number <= most && number == std::floor(number)) {
    return static_cast<uint32_t>(number);
  }
  return make_error(ErrorCode::kInvalidArgument,
                    "a query's limit is 1 to 1000, and its repeat 1 to 1000000");
}

Result<Query> parse_query(const std::string& line) {
  google::protobuf::Struct said;
  if (!strongroom::rpc::decode_message(true, line, said)) {
    return make_error(ErrorCode::kInvalidArgument, "each line must be one JSON object, a query");
  }
  Query query;
  for (const auto& [name, value] : said.fields()) {
    if (name == "collection") {
      query.collection = value.string_value();
    } else if (name == "method") {
      SR_ASSIGN(query.method, method_of(value.string_value()));
    } else if (name == "repeat") {
      SR_ASSIGN(query.repeat, number_of(value, kRepeatMax));
    } else if (name == "limit") {
      SR_ASSIGN(const uint32_t limit, number_of(value, kPageRecords));
      query.asked.set_limit(limit);
    } else if (name == "terms") {
      SR_ASSIGN(const std::string terms, strongroom::rpc::encode_message(true, value));
      strongroom::v1::FindRequest parsed;
      if (!strongroom::rpc::decode_message(true, "{\"terms\":" + terms + "}", parsed)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "a query's terms are those of a FindRequest in JSON; check their names");
      }
      *query.asked.mutable_terms() = parsed.terms();
    } else {
      return make_error(ErrorCode::kInvalidArgument,
                        "a query has collection, terms, method, limit and repeat, nothing else");
    }
  }
  if (query.method == Method::kAll || query.asked.limit() == 0) {
    query.asked.set_limit(kPageRecords);
  }
  return query;
}

class Asking {
 public:
  explicit Asking(const strongroom::app::Credential& credential) : credential_(credential) {}
  Result<void> run(std::istream& lines);
  size_t failed_line() const { return failed_line_; }  // From 1; 0: it was none of them.

 private:
  using Tickets = std::map<std::string, strongroom::bench::KeptTicket, std::less<>>;

  Result<void> read(std::istream& lines);
  Result<void> find_collections();
  bool next(strongroom::rpc::LoadCall& call);
  void reply(int status, std::string_view body);
  bool take_count(std::string_view body);
  bool take_records(const Query& query, std::string_view body);
  bool are_new(const strongroom::v1::FindResponse& response);
  void end_repetition(const Query& query);
  void fail(const char* text);
  static void print(const Answer& answer, const strongroom::rpc::LoadResult& times);

  const strongroom::app::Credential& credential_;
  std::vector<Query> queries_;
  Tickets tickets_;
  strongroom::env::Clock& clock_ = strongroom::env::real_clock();
  Result<void> outcome_;
  size_t failed_line_ = 0;

  size_t at_ = 0;            // The query that is asked.
  uint32_t repetition_ = 0;  // Of it; 0 is the untimed one.
  uint64_t started_us_ = 0;
  std::string cursor_;  // Empty: a repetition begins.
  Answer answer_;       // So far.
  Answer first_;        // Of the untimed repetition, which all others must give again.
  std::unordered_set<std::string> seen_;  // Its records.
  strongroom::rpc::LoadResult times_;

  strongroom::v1::FindResponse found_;
  strongroom::v1::CountResponse counted_;
};

Result<void> Asking::read(std::istream& lines) {
  std::string line;
  while (std::getline(lines, line)) {
    auto query = parse_query(line);
    if (!query) {
      failed_line_ = queries_.size() + 1;
      return query.error();
    }
    queries_.push_back(std::move(*query));
  }
  return {};
}

Result<void> Asking::find_collections() {
  SR_ASSIGN(auto admin, strongroom::app::AdminClient::connect(credential_));
  for (const Query& query : queries_) {
    if (tickets_.contains(query.collection)) continue;
    const auto collection = admin->collection(query.collection);
    if (!collection) {
      failed_line_ = static_cast<size_t>(&query - queries_.data()) + 1;
      return collection.error();
    }
    tickets_.try_emplace(query.collection, credential_, collection->id());
  }
  return {};
}

bool Asking::next(strongroom::rpc::LoadCall& call) {
  if (!outcome_ || at_ == queries_.size()) return false;
  Query& query = queries_[at_];
  if (cursor_.empty()) started_us_ = clock_.monotonic_us();
  auto& ticket = tickets_.find(query.collection)->second;
  ticket.renew_if_due();
  if (query.method == Method::kCount) {
    strongroom::v1::CountRequest request;
    *request.mutable_ticket() = ticket.signed_ticket();
    request.set_request_id(strongroom::app::fresh_id());
    *request.mutable_terms() = query.asked.terms();
    call.path = kCountPath;
    request.SerializeToString(&call.body);
  } else {
    *query.asked.mutable_ticket() = ticket.signed_ticket();
    query.asked.set_request_id(strongroom::app::fresh_id());
    query.asked.set_cursor(cursor_);
    call.path = kFindPath;
    query.asked.SerializeToString(&call.body);
  }
  return true;
}

void Asking::reply(int status, std::string_view body) {
  if (status != 200) {
    strongroom::bench::complain(status, body);
    return fail("a query was refused, and none behind it was asked; the status above says why");
  }
  const Query& query = queries_[at_];
  if (!(query.method == Method::kCount ? take_count(body) : take_records(query, body))) {
    return fail("an answer was wrong, and no query behind it was asked; please report this");
  }
  if (cursor_.empty()) end_repetition(query);
}

bool Asking::take_count(std::string_view body) {
  if (!counted_.ParseFromArray(body.data(), static_cast<int>(body.size()))) return false;
  tickets_.find(queries_[at_].collection)->second.answered(0);
  answer_.matches = counted_.count();
  return true;
}

bool Asking::take_records(const Query& query, std::string_view body) {
  if (!found_.ParseFromArray(body.data(), static_cast<int>(body.size()))) return false;
  const auto records = static_cast<uint32_t>(found_.records_size());
  tickets_.find(query.collection)->second.answered(records);
  answer_.matches += records;
  answer_.more = found_.more();
  if (records > query.asked.limit() || found_.more() == found_.cursor().empty() ||
      (found_.more() && records == 0)) {
    return false;
  }
  if (repetition_ == 0 && !are_new(found_)) return false;
  cursor_.clear();
  if (query.method == Method::kAll) cursor_ = found_.cursor();
  return true;
}

// Whether each is opened, and was not sent before.
bool Asking::are_new(const strongroom::v1::FindResponse& response) {
  for (const auto& record : response.records()) {
    if (record.fields().empty() || !seen_.insert(record.id()).second) return false;
  }
  return true;
}

void Asking::end_repetition(const Query& query) {
  const auto took_us = static_cast<float>(clock_.monotonic_us() - started_us_);
  if (repetition_ == 0) {
    first_ = answer_;
  } else if (answer_ == first_) {
    times_.latencies_us.push_back(took_us);
  } else {
    return fail("a query was answered in two ways; ask while nobody writes to the vault");
  }
  answer_ = {};
  if (++repetition_ <= query.repeat) return;
  print(first_, times_);
  times_ = {};
  seen_.clear();
  repetition_ = 0;
  ++at_;
}

void Asking::fail(const char* text) {
  outcome_ = make_error(ErrorCode::kInternal, text);
  failed_line_ = at_ + 1;
}

void Asking::print(const Answer& answer, const strongroom::rpc::LoadResult& times) {
  std::printf("{\"matches\":%llu,\"more\":%s,\"p50_ms\":%.4f,\"min_ms\":%.4f,\"p90_ms\":%.4f}\n",
              static_cast<unsigned long long>(answer.matches), answer.more ? "true" : "false",
              times.percentile_us(50) / 1000, times.percentile_us(0) / 1000,
              times.percentile_us(90) / 1000);
  std::fflush(stdout);
}

Result<void> Asking::run(std::istream& lines) {
  SR_TRY(read(lines));
  SR_TRY(find_collections());
  SR_ASSIGN(auto endpoint, endpoint_of(credential_.connection.gateway_at, credential_.connection));
  SR_TRY(strongroom::rpc::run_load(
      {.endpoint = std::move(endpoint),
       .connections = 1,
       .next = [this](int, strongroom::rpc::LoadCall& call) { return next(call); },
       .reply = [this](int, int status, std::string_view body) { reply(status, body); }}));
  return outcome_;
}

int failed(const strongroom::Error& error, size_t line) {
  std::fprintf(stderr, "bench_query_load: %s", error.text);
  if (line != 0) std::fprintf(stderr, " (line %zu)", line);
  std::fputc('\n', stderr);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: bench_query_load CREDENTIAL < QUERIES\n");
    return 2;
  }
  strongroom::crypto::init();
  const auto credential = strongroom::app::load_credential(argv[1]);
  if (!credential) return failed(credential.error(), 0);
  Asking asking(*credential);
  const auto done = asking.run(std::cin);
  return done ? 0 : failed(done.error(), asking.failed_line());
}
