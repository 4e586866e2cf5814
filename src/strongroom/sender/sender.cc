#include "strongroom/sender/sender.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>

namespace strongroom::sender {
namespace {

constexpr uint64_t kCursorsBytesMax = uint64_t{1} << 20;

}  // namespace

Result<std::unique_ptr<Sender>> Sender::open(AlarmSource& source,
                                             std::vector<std::unique_ptr<AlarmSink>> sinks,
                                             env::Files& files, std::string path, Tell tell) {
  std::unique_ptr<Sender> out(new Sender(source, files, std::move(path), std::move(tell)));
  v1::SinkCursors cursors;
  SR_ASSIGN(const bool exists, files.exists(out->path_));
  if (exists) {
    SR_ASSIGN(const std::string text, files.read(out->path_, kCursorsBytesMax));
    if (!google::protobuf::util::JsonStringToMessage(text, &cursors).ok()) {
      return make_error(
          ErrorCode::kDataLoss,
          "sender/sent.json in the vault's folder is damaged; remove it, and every alarm "
          "that is kept is "
          "sent again");
    }
  }
  for (auto& sink : sinks) {
    Place& place = out->places_.emplace_back();
    for (const auto& cursor : cursors.cursors()) {
      if (cursor.sink() == sink->name()) place.after = cursor.after();
    }
    place.sink = std::move(sink);
  }
  return out;
}

Result<void> Sender::save() const {
  v1::SinkCursors cursors;
  for (const Place& place : places_) {
    auto& cursor = *cursors.add_cursors();
    cursor.set_sink(place.sink->name());
    cursor.set_after(place.after);
  }
  std::string json;
  SR_CHECK(google::protobuf::util::MessageToJsonString(cursors, &json).ok(), "cursors are JSON");
  return files_.write_atomic(path_, as_bytes(json), 0600);
}

Result<bool> Sender::send_to(Place& place, uint64_t now_ms) {
  bool any = false;
  for (;;) {
    SR_ASSIGN(const auto response, source_.alarms(place.after, kBatch));
    if (response.forgotten() > place.after) {
      const Error error = make_error(
          ErrorCode::kDataLoss,
          "older alarms are in the release log alone by now, and were not sent (the number is the "
          "leaf of the last of them); `log tail` and `policy test --replay` show them",
          static_cast<int64_t>(response.forgotten()));
      tell_(place.sink->name(), &error);
      place.after = response.forgotten();
      any = true;
      continue;
    }
    if (response.alarms().empty()) return any;
    for (int i = 0; i < response.alarms_size(); ++i) {
      const v1::Alarm& alarm = response.alarms(i);
      if (const auto sent = place.sink->send(alarm); !sent) {
        if (place.failures++ == 0) tell_(place.sink->name(), &sent.error());
        const uint32_t doublings = std::min<uint32_t>(place.failures - 1, 20);
        place.retry_ms = now_ms + std::min(kRetryMsMin << doublings, kRetryMsMax);
        return any;
      }
      if (place.failures != 0) tell_(place.sink->name(), nullptr);
      place.failures = 0;
      any = true;
      // Alarms of one entry share its leaf: past it only behind the last of them.
      const bool last =
          i + 1 == response.alarms_size() || response.alarms(i + 1).leaf() != alarm.leaf();
      if (last) place.after = alarm.leaf();
    }
  }
}

Result<void> Sender::step(uint64_t now_ms) {
  bool any = false;
  std::optional<Error> error;
  for (Place& place : places_) {
    if (now_ms < place.retry_ms) continue;
    const auto sent = send_to(place, now_ms);
    if (!sent) error = sent.error();
    any = any || (sent && *sent);
  }
  if (any) SR_TRY(save());
  if (error) return *error;
  return {};
}

}  // namespace strongroom::sender
