#include "strongroom/app/log_view.h"

#include <algorithm>

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
  std::string who, what;
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
        what =
            "lane " + std::to_string(item.lane().lane()) + " " + lane_change(item.lane().change());
        break;
      case v1::LogItem::kStart:
        what = "started version " + item.start().version();
        break;
      case v1::LogItem::kPolicy:
        what = "policy version " + std::to_string(item.policy().version());
        break;
      case v1::LogItem::kPrincipal:
        what = "principal " + item.principal().name() + ", " + item.principal().role() + ", key " +
               to_hex(as_bytes(item.principal().public_key())
                          .first(std::min<size_t>(4, item.principal().public_key().size()))) +
               (item.principal().disabled() ? ", disabled" : "");
        break;
      case v1::LogItem::kCollection:
        what = "collection " + item.collection().name() + " revision " +
               std::to_string(item.collection().revision());
        break;
      default:
        break;
    }
    if (!item.author().empty()) who = item.author();
  }
  if (releases > 0) what = plural(releases, "record opened", "records opened");
  if (tokens > 0) what = plural(tokens, "term searched", "terms searched");
  if (grants > 0) what = plural(grants, "record written", "records written");
  if (entry.items_size() > 1 && what.empty())
    what = plural(static_cast<uint64_t>(entry.items_size()), "item", "items");
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
