#include "strongroom/app/log_view.h"

#include <algorithm>
#include <vector>

#include "strongroom/app/cli.h"
#include "strongroom/base/bytes.h"
#include "strongroom/v1/log.pb.h"

namespace strongroom::app {
namespace {

std::string plural(uint64_t n, const char* one, const char* many) {
  return format_count(n) + " " + (n == 1 ? one : many);
}

const char* lane_change(v1::LaneItem::Change change) {
  switch (change) {
    case v1::LaneItem::OPENED:
      return "opened";
    case v1::LaneItem::RESERVED:
      return "reserved";
    case v1::LaneItem::PUBLISHED:
      return "published";
    case v1::LaneItem::CLOSED:
      return "closed";
    case v1::LaneItem::DROPPED:
      return "dropped";
    case v1::LaneItem::MERGED:
      return "published in place of others";
    default:
      return "changed";
  }
}

}  // namespace

std::string describe_entry(const v1::LogEntryView& entry) {
  std::string who;
  std::vector<std::string> parts;
  uint64_t releases = 0, tokens = 0, grants = 0;
  for (const auto& bytes : entry.items()) {
    v1::LogItem item;
    if (!item.ParseFromString(bytes)) return "unreadable";
    switch (item.item_case()) {
      case v1::LogItem::kTicket:
        who = item.ticket().principal() + " for " + item.ticket().purpose() +
              (item.ticket().case_reference().empty() ? "" : " " + item.ticket().case_reference());
        break;
      case v1::LogItem::kRelease:
        ++releases;
        break;
      case v1::LogItem::kToken:
        ++tokens;
        break;
      case v1::LogItem::kGrant:
        grants += item.grant().count();
        break;
      case v1::LogItem::kLane:
        parts.push_back("lane " + std::to_string(item.lane().lane()) + " " +
                        lane_change(item.lane().change()));
        break;
      case v1::LogItem::kRefusal:
        parts.push_back(plural(item.refusal().count(), "call", "calls") + " of " +
                        (item.refusal().principal().empty() ? std::string("nobody known")
                                                            : item.refusal().principal()) +
                        " refused: " + item.refusal().reason());
        break;
      case v1::LogItem::kStart:
        parts.push_back("started version " + item.start().version());
        break;
      case v1::LogItem::kPolicy:
        parts.push_back("policy version " + std::to_string(item.policy().version()));
        break;
      case v1::LogItem::kPrincipal:
        parts.push_back(
            "principal " + item.principal().name() + ", " + item.principal().role() + ", key " +
            to_hex(as_bytes(item.principal().public_key())
                       .first(std::min<size_t>(4, item.principal().public_key().size()))) +
            (item.principal().disabled() ? ", disabled" : ""));
        break;
      case v1::LogItem::kCollection:
        parts.push_back("collection " + item.collection().name() + " revision " +
                        std::to_string(item.collection().revision()));
        break;
      default:
        break;
    }
    if (!item.author().empty()) who = item.author();
  }
  if (releases > 0) parts.push_back(plural(releases, "record opened", "records opened"));
  if (tokens > 0) parts.push_back(plural(tokens, "term searched", "terms searched"));
  if (grants > 0) parts.push_back(plural(grants, "record written", "records written"));
  if (parts.empty() && entry.items_size() > 1)
    parts.push_back(plural(static_cast<uint64_t>(entry.items_size()), "item", "items"));
  std::string what;
  for (const auto& part : parts) what += (what.empty() ? "" : "; ") + part;
  return what + (who.empty() ? "" : ", by " + who);
}

std::string entry_json(const v1::LogEntryView& entry) {
  std::string out = "{\"leaf\":" + std::to_string(entry.leaf()) +
                    ",\"type\":" + json_string(entry.type()) +
                    ",\"t_ms\":" + std::to_string(entry.t_ms()) + ",\"items\":[";
  for (int i = 0; i < entry.items_size(); ++i) {
    v1::LogItem item;
    if (!item.ParseFromString(entry.items(i))) continue;
    out += (i == 0 ? "" : ",") + to_json(item);
  }
  return out + "]}";
}

}  // namespace strongroom::app
