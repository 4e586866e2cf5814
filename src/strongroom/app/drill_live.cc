#include "strongroom/app/drill_live.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "strongroom/app/client.h"
#include "strongroom/app/linked_key_service.h"
#include "strongroom/app/processes.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/gateway/gateway.h"
#include "strongroom/gateway/record_builder.h"
#include "strongroom/rpc/event_loop.h"
#include "strongroom/rpc/frames.h"
#include "strongroom/store/store.h"
#include "strongroom/synth/random.h"

namespace strongroom::app {
namespace {

constexpr uint64_t kQueriesPerTicket = 500;
constexpr uint64_t kQueryStream = 41;

// Whom clerks ask about: person r of an arbitrary order with a chance that falls as 1/r^0.8, Zipf's
// law as access logs show it.
class Clerks {
 public:
  Clerks(uint64_t people, uint64_t seed) : rng_(seed, kQueryStream, 0), who_(people, seed, 42) {
    double sum = 0;
    for (uint64_t r = 0; r < people; ++r) {
      sum += std::pow(static_cast<double>(r + 1), -0.8);
      ends_.push_back(sum);
    }
  }
  uint64_t person() {
    const double at = static_cast<double>(rng_.below(1u << 30)) / (1u << 30) * ends_.back();
    const auto rank = std::upper_bound(ends_.begin(), ends_.end(), at) - ends_.begin();
    return who_(static_cast<uint64_t>(rank));
  }
  size_t field() {
    uint64_t at = rng_.below(100);
    for (const auto& [field, percent] : kFields) {
      if (at < percent) return field;
      at -= percent;
    }
    return drill::kName;
  }
  static drill::FieldShares field_shares() {
    drill::FieldShares out{};
    for (const auto& [field, percent] : kFields) out[field] = percent / 100.0;
    return out;
  }

 private:
  struct FieldPercent {
    size_t field;
    unsigned percent;
  };
  static constexpr FieldPercent kFields[] = {
      {drill::kName, 50},  {drill::kNationalId, 15}, {drill::kPhone, 15},    {drill::kDob, 10},
      {drill::kRegion, 4}, {drill::kSurname, 3},     {drill::kBirthYear, 3},
  };
  synth::Rng rng_;
  synth::Permutation who_;
  std::vector<double> ends_;
};

Error wrong_truth() {
  return make_error(ErrorCode::kDataLoss,
                    "a record is not the person's whose number it has: the drill cannot tell what "
                    "is right");
}

class Watch {
 public:
  Watch(const DrillVault& vault, const drill::Population& people, const drill::Population& others,
        const std::vector<uint64_t>& idx_of, uint64_t seed,
        const std::vector<uint64_t>& checkpoints)
      : vault_(vault),
        people_(people),
        idx_of_(idx_of),
        checkpoints_(checkpoints),
        clerks_(people.people().size(), seed),
        known_(people),
        sample_(others),
        observer_(known_, people.people().size(), sample_, others.people().size(),
                  Clerks::field_shares()) {}

  Result<std::vector<LivePoint>> run() {
    SR_TRY(start());
    loop_.post([this] { sync(); });
    loop_.run();
    if (failed_) return *failed_;
    return std::move(points_);
  }

 private:
  Result<void> start() {
    const VaultDir dir(vault_.path());
    SR_TRY(make_certificates(dir, {"127.0.0.1"}));
    SR_TRY(keyserver_.start({"serve-keyserver", dir.root, "--listen", "127.0.0.1:0"}, true));
    SR_ASSIGN(const std::string ready, keyserver_.line());
    static_cast<void>(ready);
    SR_ASSIGN(credential_, load_credential(vault_.credential("clerk")));
    SR_ASSIGN(base_, store::open_rocks_store(dir.store(), {}));
    store_ = std::make_unique<drill::RecordingStore>(*base_);
    SR_ASSIGN(link_, rpc::KeyServiceLink::connect(loop_, dir.socket()));
    keys_ = std::make_unique<LinkedKeyService>(*link_);
    SR_ASSIGN(TermKey term_key, load_term_key(dir));
    gateway_ = std::make_unique<gateway::Gateway>(*store_, *keys_, loop_, env::real_clock(),
                                                  std::move(term_key), gateway::GatewayOptions{});
    return {};
  }

  void sync() {
    gateway_->start([this](Result<bool> done) {
      if (done) return next();
      if (++syncs_ > 300) return stop(done.error());
      loop_.after(std::chrono::milliseconds(100), [this] { sync(); });
    });
  }

  void stop(const Error& error) {
    failed_ = error;
    loop_.stop();
  }

  void next() {
    if (asked_ % kQueriesPerTicket == 0) {
      TicketTerms terms;
      terms.purpose = "service";
      terms.collection = kDrillCollectionId;
      terms.records_max = kQueriesPerTicket * drill::kAnswerMax;
      ticket_ = sign_ticket(*credential_, terms, env::real_clock().wall_ms());
    }
    ++asked_;
    const auto& person = people_.people()[clerks_.person()];
    const size_t field = clerks_.field();
    const uint32_t value = known_.find(field, person.values[field]);
    v1::FindRequest request;
    *request.mutable_ticket() = ticket_;
    request.set_request_id(fresh_id());
    request.set_limit(drill::kAnswerMax);
    auto& term = *request.add_terms();
    term.set_field(people_.columns()[field]);
    term.set_value(person.values[field]);
    store_->take();
    gateway_->find(std::move(request), [this, value](Result<v1::FindResponse> response) {
      if (!response) return stop(response.error());
      if (!check(*response)) return stop(wrong_truth());
      observer_.see(store_->take(), value);
      if (asked_ == checkpoints_[points_.size()]) {
        points_.push_back({observer_.learn(), checked_});
        if (points_.size() == checkpoints_.size()) return loop_.stop();
      }
      loop_.post([this] { next(); });
    });
  }

  // That idx_of is right, which every score of the drill rests on.
  bool check(const v1::FindResponse& response) {
    for (const auto& record : response.records()) {
      const auto id = record.fields().find("national_id");
      if (id == record.fields().end()) return false;
      const uint32_t value = known_.find(drill::kNationalId, id->second);
      if (value == UINT32_MAX) return false;
      const uint64_t idx = idx_of_.at(known_.people(value).front());
      if (record.id() != gateway::record_id(RecordIndex{idx})) return false;
      ++checked_;
    }
    return true;
  }

  const DrillVault& vault_;
  const drill::Population& people_;
  const std::vector<uint64_t>& idx_of_;
  const std::vector<uint64_t>& checkpoints_;
  Clerks clerks_;
  drill::SearchableValues known_, sample_;
  drill::Observer observer_;
  DrillChild keyserver_;  // Ends last: what is below talks to it.
  rpc::EventLoop loop_;
  std::optional<Credential> credential_;
  std::unique_ptr<store::Store> base_;
  std::unique_ptr<drill::RecordingStore> store_;
  std::unique_ptr<rpc::KeyServiceLink> link_;
  std::unique_ptr<LinkedKeyService> keys_;
  std::unique_ptr<gateway::Gateway> gateway_;
  v1::SignedTicket ticket_;
  uint64_t asked_ = 0, checked_ = 0;
  int syncs_ = 0;
  std::vector<LivePoint> points_;
  std::optional<Error> failed_;
};

}  // namespace

Result<std::vector<LivePoint>> watch_queries(const DrillVault& vault,
                                             const drill::Population& people,
                                             const drill::Population& others,
                                             const std::vector<uint64_t>& idx_of, uint64_t seed,
                                             const std::vector<uint64_t>& checkpoints) {
  SR_CHECK(!checkpoints.empty(), "a number of queries");
  return Watch(vault, people, others, idx_of, seed, checkpoints).run();
}

}  // namespace strongroom::app
