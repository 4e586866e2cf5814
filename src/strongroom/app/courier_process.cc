// Carries checkpoints from the key server, which has no network, to witnesses, and back what they
// say. It is trusted with nothing: both ends check.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <thread>

#include "strongroom/app/credential.h"
#include "strongroom/app/processes.h"
#include "strongroom/crypto/random.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/process.h"
#include "strongroom/rpc/connect_client.h"
#include "strongroom/rpc/event_loop.h"
#include "strongroom/rpc/frames.h"
#include "strongroom/tlog/witness_client.h"

namespace strongroom::app {
namespace {

constexpr std::chrono::milliseconds kBusy{200};   // Between looks while there are witnesses.
constexpr std::chrono::milliseconds kIdle{2000};  // While there are none.
constexpr uint64_t kBackoffUsMin = 500'000, kBackoffUsMax = 30'000'000;
constexpr int kTimeoutMs = 5000;
constexpr size_t kReplyBytesMax = 64 << 10;

// https://HOST:PORT/PREFIX
struct Url {
  rpc::Endpoint endpoint;
  std::string path;
};
Result<Url> parse_url(const v1::WitnessEntry& entry) {
  const Error bad = make_error(ErrorCode::kInvalidArgument,
                               "the policy's url of a witness is not https://HOST:PORT");
  constexpr std::string_view kScheme = "https://";
  std::string_view text = entry.url();
  if (!text.starts_with(kScheme)) return bad;
  text.remove_prefix(kScheme.size());
  const size_t slash = text.find('/');
  Url out;
  out.path = slash == std::string_view::npos ? std::string() : std::string(text.substr(slash));
  while (out.path.ends_with('/')) out.path.pop_back();
  Connection connection;
  connection.ca_pem = entry.ca_pem();
  SR_ASSIGN(out.endpoint, endpoint_of(std::string(text.substr(0, slash)), connection));
  return out;
}

// One witness: its connection, what it has seen, and when to try again after a failure.
class Carried {
 public:
  explicit Carried(const v1::WitnessEntry& entry, tlog::NoteKey key)
      : entry_(entry),
        client_(std::move(key), [this](const std::string& body) { return post(body); }) {}

  bool is(const v1::WitnessEntry& entry) const {
    return entry.key() == entry_.key() && entry.url() == entry_.url() &&
           entry.ca_pem() == entry_.ca_pem();
  }
  // nullopt: nothing new, or not now.
  std::optional<v1::WitnessWord> offer(const v1::WitnessReply& now, const tlog::TileReader& read,
                                       uint64_t now_us) {
    if (now_us < not_before_us_ || now.size() == told_) return std::nullopt;
    const auto outcome = client_.offer(now.note(), now.size(), read);
    if (!outcome) {
      http_ = nullptr;
      backoff_us_ = std::clamp(backoff_us_ * 2, kBackoffUsMin, kBackoffUsMax);
      not_before_us_ = now_us + backoff_us_;
      tell(outcome.error().text);
      if (outcome.error().code != ErrorCode::kConflict) return std::nullopt;
      // Put back, and grown since as far as the one before, or further: more than was is missing.
      v1::WitnessWord word;
      word.set_size(now.size());
      word.set_ahead(UINT64_MAX);
      return word;
    }
    backoff_us_ = 0;
    told_ = now.size();
    v1::WitnessWord word;
    word.set_size(now.size());
    if (outcome->ahead) {
      word.set_ahead(*outcome->ahead);
      tell("it has cosigned a longer log than this one: the key server's folder was put back");
    } else {
      word.set_lines(outcome->lines);
      word.set_by_newest_key(outcome->by_newest_key);
      tell("");
    }
    return word;
  }

 private:
  Result<tlog::WitnessReply> post(const std::string& body) {
    if (http_ == nullptr) {
      SR_ASSIGN(const Url url, parse_url(entry_));
      path_ = url.path + "/add-checkpoint";
      SR_ASSIGN(http_, rpc::ConnectClient::connect(url.endpoint, {kTimeoutMs, kReplyBytesMax}));
    }
    rpc::CallOptions options;
    options.idempotent = true;  // Twice the same is answered with the same.
    options.timeout_ms = kTimeoutMs;
    SR_ASSIGN(auto reply, http_->exchange(path_, "text/plain", body, options));
    return tlog::WitnessReply{reply.status, std::string(reply.header("content-type")),
                              std::move(reply.body)};
  }

  // Once, until it changes.
  void tell(const std::string& trouble) {
    if (trouble == trouble_) return;
    trouble_ = trouble;
    std::cerr << "strongroom: witness " << client_.witness().name
              << (trouble.empty() ? " cosigns again" : " does not cosign: " + trouble) << "\n";
  }

  const v1::WitnessEntry entry_;
  tlog::WitnessClient client_;
  std::unique_ptr<rpc::ConnectClient> http_;
  std::string path_;
  std::string trouble_;
  uint64_t told_ = 0;  // The size it last answered for.
  uint64_t not_before_us_ = 0, backoff_us_ = 0;
};

class Courier {
 public:
  Courier(rpc::KeyServiceLink& link, std::string credential)
      : link_(link), credential_(std::move(credential)) {}

  // Whether there are witnesses to look after.
  Result<bool> step(uint64_t now_us) {
    v1::Call call;
    for (v1::WitnessWord& word : words_) *call.mutable_witness()->add_words() = std::move(word);
    call.mutable_witness()->set_credential(credential_);
    words_.clear();
    SR_ASSIGN(const v1::Reply reply, link_.call_blocking(std::move(call)));
    const v1::WitnessReply& now = reply.witness();
    keep_those_of(now.witnesses());
    const tlog::TileReader read = [this](std::string_view path) -> Result<std::string> {
      v1::Call tile;
      tile.mutable_log_tile()->set_path(std::string(path));
      tile.mutable_log_tile()->set_credential(credential_);
      SR_ASSIGN(v1::Reply answer, link_.call_blocking(std::move(tile)));
      return std::move(*answer.mutable_log_tile()->mutable_data());
    };
    for (const auto& witness : witnesses_) {
      if (auto word = witness->offer(now, read, now_us)) words_.push_back(std::move(*word));
    }
    return !witnesses_.empty();
  }

 private:
  void keep_those_of(const v1::Witnesses& wanted) {
    std::vector<std::unique_ptr<Carried>> kept;
    for (const v1::WitnessEntry& entry : wanted.list()) {
      const auto same = std::find_if(witnesses_.begin(), witnesses_.end(), [&](const auto& known) {
        return known != nullptr && known->is(entry);
      });
      auto key = tlog::parse_note_key(entry.key());
      if (same != witnesses_.end()) {
        kept.push_back(std::move(*same));
      } else if (key) {
        kept.push_back(std::make_unique<Carried>(entry, std::move(*key)));
      }
    }
    witnesses_ = std::move(kept);
  }

  rpc::KeyServiceLink& link_;
  const std::string credential_;
  std::vector<std::unique_ptr<Carried>> witnesses_;
  std::vector<v1::WitnessWord> words_;  // Of the last step, for the next.
};

}  // namespace

int run_courier(const Global& global, const ProcessOptions& options) {
  crypto::init();
  if (const auto hardened = env::harden_process(); !hardened) {
    return fail(global, hardened.error(), "courier");
  }
  auto credentials = read_credentials(options.credential_fd);
  if (credentials.empty()) credentials.emplace_back();
  rpc::EventLoop loop;
  auto link = rpc::KeyServiceLink::connect(loop, VaultDir(options.dir).socket());
  if (!link) return fail(global, link.error(), "courier");
  loop.on_signals({SIGTERM, SIGINT}, [&loop] { loop.stop(); });
  if (const auto inside = env::enter_sandbox({{}, env::paths_for_connecting(), true}); !inside) {
    return fail(global, inside.error(), "courier");
  }
  // Until the process ends, which it may anywhere.
  env::WorkerThread worker("courier");
  worker.post([&] {
    Courier courier(**link, std::move(credentials.front()));
    for (bool told = false;;) {
      const auto busy = courier.step(env::real_clock().monotonic_us());
      // The key server may be sealed, or starting.
      const bool wrong = !busy && busy.error().code != ErrorCode::kUnavailable;
      if (wrong && !told) {
        std::cerr << "strongroom: checkpoints do not reach the witnesses: " << busy.error().text
                  << "\n";
      }
      told = wrong;
      std::this_thread::sleep_for(busy && *busy ? kBusy : kIdle);
    }
  });
  loop.run();
  _exit(kDone);
}

}  // namespace strongroom::app
