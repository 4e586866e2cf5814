#include "strongroom/sender/entry_event.h"

#include "strongroom/base/ip_address.h"
#include "strongroom/sender/ocsf_object.h"
#include "strongroom/v1/log.pb.h"
#include "strongroom/watch/explain.h"

namespace strongroom::sender {
namespace {

struct OcsfClass {
  uint32_t uid, activity;
};
constexpr OcsfClass kRead{6005, 1}, kQuery{6005, 4}, kWrite{6005, 5}, kDelete{6005, 7};
constexpr OcsfClass kOtherActivity{6005, 99}, kUpdate{3004, 3}, kStart{6002, 3};
constexpr uint32_t kInformational = 1, kMedium = 3, kHigh = 4;
constexpr uint32_t kSuccess = 1, kFailure = 2;

// One entry's event, as far as all have it.
class Event {
 public:
  Event(const v1::LogEntryView& entry, const Origin& origin, OcsfClass of, uint32_t severity,
        uint32_t status, const std::string& uid_end)
      : root_(event_) {
    root_.number("class_uid", of.uid).number("category_uid", of.uid / 1000);
    root_.number("activity_id", of.activity).number("type_uid", of.uid * 100 + of.activity);
    root_.number("severity_id", severity).number("status_id", status);
    root_.number("time", entry.t_ms());
    add_metadata(root_, origin, origin.vault + "-" + std::to_string(entry.leaf()) + uid_end);
    root_.object("unmapped").number("log_leaf", entry.leaf()).text("log_type", entry.type());
  }
  OcsfObject& root() { return root_; }
  OcsfObject unmapped() { return root_.object("unmapped"); }
  void by(const std::string& principal) {
    root_.object("actor").object("user").text("name", principal.empty() ? "unknown" : principal);
  }
  // What it is about, where that is the vault itself.
  void entity(const char* type, const std::string& name) {
    root_.object("entity").text("type", type).text("name", name);
  }
  std::string line() const { return ocsf_line(event_); }

 private:
  google::protobuf::Struct event_;
  OcsfObject root_;
};

// What happened under a ticket.
std::string ticket_event(const v1::LogEntryView& entry, const v1::TicketItem& ticket,
                         const Origin& origin, OcsfClass of) {
  Event event(entry, origin, of, ticket.emergency() ? kHigh : kInformational, kSuccess, "");
  event.by(ticket.principal());
  event.root().number("count", ticket.charge());
  if (const auto from = ip_of(as_bytes(ticket.from()))) {
    event.root().object("src_endpoint").text("ip", ip_text(*from));
  }
  event.root()
      .object("databucket")
      .text("name", "collection " + std::to_string(ticket.collection()))
      .text("type", "collection");
  auto more = event.unmapped();
  more.text("purpose", ticket.purpose()).text("case_reference", ticket.case_reference());
  more.text("gateway", ticket.gateway()).number("collection", ticket.collection());
  more.flag("emergency", ticket.emergency());
  return event.line();
}

OcsfClass class_of(const std::string& type) {
  if (type == "release" || type == "report") return kRead;
  if (type == "token") return kQuery;
  if (type == "erasure") return kDelete;
  return type == "grant" ? kWrite : kOtherActivity;
}

// An item that changes the vault, or says something about it. Empty: of no interest outside.
std::string item_event(const v1::LogEntryView& entry, const v1::LogItem& item, size_t number,
                       const Origin& origin) {
  const std::string end = "-" + std::to_string(number);
  const auto change = [&](const char* type, const std::string& name, uint32_t severity) {
    Event event(entry, origin, kUpdate, severity, kSuccess, end);
    event.by(item.author());
    event.entity(type, name);
    return event.line();
  };
  switch (item.item_case()) {
    case v1::LogItem::kStart: {
      Event event(entry, origin, kStart, kInformational, kSuccess, end);
      event.root().object("app").text("name", "strongroom").text("version", item.start().version());
      return event.line();
    }
    case v1::LogItem::kPolicy:
      return change("policy", "version " + std::to_string(item.policy().version()), kMedium);
    case v1::LogItem::kPrincipal:
      return change("principal", item.principal().name(), kMedium);
    case v1::LogItem::kCollection:
      return change("collection", item.collection().name(), kMedium);
    case v1::LogItem::kFreeze:
      return change(item.freeze().thaw() ? "thaw" : "freeze", item.freeze().scope(), kHigh);
    case v1::LogItem::kHold:
      return change(item.hold().lift() ? "legal hold lifted" : "legal hold",
                    item.hold().reference(), kMedium);
    case v1::LogItem::kEmbargoLift:
      return change("embargo lifted", item.embargo_lift().purpose(), kMedium);
    case v1::LogItem::kDestruction:
      // The records themselves are told once, when it has begun to go by them.
      if (item.destruction().step() == v1::DestructionItem::ERASED) return {};
      return change("erasure of old records",
                    v1::DestructionItem::Step_Name(item.destruction().step()), kHigh);
    case v1::LogItem::kApproval:
      return change("request", std::to_string(item.approval().request()), kMedium);
    case v1::LogItem::kReview:
      return change("emergency review", std::to_string(item.review().leaves_size()),
                    kInformational);
    case v1::LogItem::kSeal:
      return change("seal", "the vault", kHigh);
    case v1::LogItem::kRoot:
      return change("root key", v1::RootItem::Step_Name(item.root().step()), kHigh);
    case v1::LogItem::kStore:
      // That it grows tells nobody anything.
      if (!item.store().lost()) return {};
      return change("store with writes lost", "accepted", kHigh);
    case v1::LogItem::kLogKey:
      return change("key of the log", v1::LogKeyItem::Step_Name(item.log_key().step()), kHigh);
    case v1::LogItem::kRefused: {
      Event event(entry, origin, kOtherActivity, kMedium, kFailure, end);
      event.by(item.refused().principal());
      event.root().text("activity_name", "Refused").number("count", item.refused().count());
      event.unmapped()
          .text("gateway", item.refused().gateway())
          .text("purpose", item.refused().purpose())
          .number("collection", item.refused().collection());
      return event.line();
    }
    default:
      return {};
  }
}

}  // namespace

Result<std::vector<std::string>> entry_events(const v1::LogEntryView& entry, const Origin& origin) {
  std::vector<std::string> out;
  for (int i = 0; i < entry.items_size(); ++i) {
    v1::LogItem item;
    if (!item.ParseFromString(entry.items(i))) {
      return make_error(ErrorCode::kDataLoss,
                        "this entry of the log is of another version (the number is its leaf)",
                        static_cast<int64_t>(entry.leaf()));
    }
    std::string line;
    if (item.has_ticket()) {
      line = ticket_event(entry, item.ticket(), origin, class_of(entry.type()));
    } else if (item.has_alarm()) {
      v1::Alarm alarm;
      alarm.set_leaf(entry.leaf());
      alarm.set_t_ms(entry.t_ms());
      *alarm.mutable_alarm() = item.alarm();
      alarm.set_text(watch::explain(item.alarm()));
      alarm.set_consequence(watch::consequence(item.alarm()));
      line = to_ocsf(alarm, origin);
    } else {
      line = item_event(entry, item, static_cast<size_t>(i), origin);
    }
    if (!line.empty()) out.push_back(std::move(line));
  }
  return out;
}

}  // namespace strongroom::sender
