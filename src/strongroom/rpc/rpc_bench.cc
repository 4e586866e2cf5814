// rpc_bench [SECONDS] [json]: what the door costs. Echo of 300 bytes over TLS 1.3 at 1, 8 and 32
// connections; server and load generator on a thread each.
#include <time.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "strongroom/rpc/load_client.h"
#include "strongroom/rpc/rpc_testing.h"
#include "strongroom/v1/admin.pb.h"

namespace {

constexpr char kEcho[] = "/strongroom.v1.Bench/Echo";
constexpr char kTyped[] = "/strongroom.v1.Bench/Typed";

// Of the server's thread, so that what else the machine does counts less.
double server_cpu_us(strongroom::rpc::TestDoor& door) {
  return door.loop_thread().on_loop([] {
    timespec used{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) * 1e6 + static_cast<double>(used.tv_nsec) / 1e3;
  });
}

bool measure(strongroom::rpc::TestDoor& door, const char* name, const char* path, bool json,
             int connections, double seconds) {
  using Clock = std::chrono::steady_clock;
  const std::string text(295, 'x');
  strongroom::v1::LogTileRequest request;
  request.set_path(text);
  const auto body = strongroom::rpc::encode_message(json, request);
  if (!body) return false;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  const double cpu_before_us = server_cpu_us(door);
  const auto result = strongroom::rpc::run_load({.endpoint = door.endpoint,
                                                 .connections = connections,
                                                 .next = [&](int, strongroom::rpc::LoadCall& call) {
                                                   call.path = path;
                                                   call.json = json;
                                                   call.body = *body;
                                                   return Clock::now() < end;
                                                 }});
  if (!result || result->errors != 0) {
    std::fprintf(stderr, "rpc_bench: the load failed\n");
    return false;
  }
  const double cpu_us = server_cpu_us(door) - cpu_before_us;
  std::printf(
      "%-16s %3d connections %9.0f requests/s   p50 %7.1f us   p99 %7.1f us   "
      "server %5.1f us/request\n",
      name, connections, result->per_second(), result->percentile_us(50), result->percentile_us(99),
      cpu_us / static_cast<double>(result->latencies_us.size()));
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::strtod(argv[1], nullptr) : 3;
  const bool json = argc > 2 && std::strcmp(argv[2], "json") == 0;
  strongroom::rpc::TestDoor door;
  door.server->raw(
      kEcho, [](const strongroom::rpc::CallContext&, std::string_view body,
                const strongroom::rpc::RespondBytes& respond) { respond(std::string(body), {}); });
  using Request = strongroom::v1::LogTileRequest;
  using Response = strongroom::v1::LogTileResponse;
  door.server->unary<Request, Response>(
      kTyped, [](const strongroom::rpc::CallContext&, const Request& request, const auto& respond) {
        Response response;
        response.set_data(request.path());
        respond(std::move(response));
      });
  door.run();
  for (int connections : {1, 8, 32}) {
    if (!measure(door, "bytes", kEcho, false, connections, seconds)) return 1;
    if (!measure(door, json ? "message, JSON" : "message, proto", kTyped, json, connections,
                 seconds)) {
      return 1;
    }
  }
  return 0;
}
