#include "strongroom/app/log_view.h"

#include <algorithm>
#include <vector>

#include "strongroom/app/cli.h"
#include "strongroom/base/bytes.h"
#include "strongroom/base/ip_address.h"
#include "strongroom/v1/log.pb.h"
#include "strongroom/watch/explain.h"

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

std::string root_step(const v1::RootItem& item) {
  switch (item.step()) {
    case v1::RootItem::BEGUN:
      return item.change().key_file()
                 ? "a new root key, in a file"
                 : "a new root key for " +
                       plural(static_cast<uint64_t>(item.change().holders_size()), "holder",
                              "holders") +
                       ", any " + std::to_string(item.change().threshold()) + " of them";
    case v1::RootItem::TAKEN:
      return "share of the new root key taken";
    case v1::RootItem::CONFIRMED:
      return "share of the new root key given back";
    case v1::RootItem::CHANGING:
      return "everything is sealed under the new root key";
    case v1::RootItem::CHANGED:
      return "the root key is changed";
    case v1::RootItem::KEPT:
      return "the root key was not changed: the key server ended before";
    default:
      return "the root key";
  }
}

std::string refused_of(const v1::RefusedItem& refused) {
  const char* const where = refused.admin() ? " on the key server's own listener" : "";
  if (!refused.principal().empty()) return refused.principal() + where;
  return (refused.admin() ? "unknown callers" : "gateway " + refused.gateway()) + where;
}

std::string from_of(const v1::TicketItem& ticket) {
  const auto from = ip_of(as_bytes(ticket.from()));
  return from ? " from " + ip_text(*from) : "";
}

const char* backup_step(v1::BackupItem::Step step) {
  switch (step) {
    case v1::BackupItem::KEYS:
      return "key files copied";
    case v1::BackupItem::TAKEN:
      return "taken";
    case v1::BackupItem::DESTROYED:
      return "key files destroyed";
    default:
      return "changed";
  }
}

std::string destruction_step(const v1::DestructionItem& item) {
  std::string of = "erasure of old records " + std::to_string(item.id());
  switch (item.step()) {
    case v1::DestructionItem::SCHEDULED:
      return "all records of collection " + std::to_string(item.collection()) + " from before " +
             format_time(item.before_ms()) + " go after " + format_time(item.due_ms()) +
             (item.request() == 0 ? ", by its retention" : "");
    case v1::DestructionItem::CANCELLED:
      return of + " cancelled";
    case v1::DestructionItem::DONE:
      return of + " done, " + plural(item.held(), "record", "records") + " held";
    default:
      return of;
  }
}

const char* log_key_step(v1::LogKeyItem::Step step) {
  switch (step) {
    case v1::LogKeyItem::ASKED:
      return "a fresh key for the log asked for";
    case v1::LogKeyItem::CHANGED:
      return "from here on the log is signed with a fresh key, and with the old one";
    default:
      return "the old key of the log is destroyed";
  }
}

}  // namespace

std::string describe_entry(const v1::LogEntryView& entry) {
  std::string who;
  std::vector<std::string> parts;
  uint64_t releases = 0, tokens = 0, grants = 0, erasures = 0;
  for (const auto& bytes : entry.items()) {
    v1::LogItem item;
    if (!item.ParseFromString(bytes)) return "unreadable";
    switch (item.item_case()) {
      case v1::LogItem::kTicket:
        if (item.ticket().emergency()) parts.push_back("EMERGENCY");
        if (item.ticket().reindex()) parts.push_back("reindex");
        who = item.ticket().principal() + " for " + item.ticket().purpose() +
              (item.ticket().case_reference().empty() ? "" : " " + item.ticket().case_reference()) +
              from_of(item.ticket());
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
      case v1::LogItem::kErasure:
        ++erasures;
        break;
      case v1::LogItem::kLane:
        parts.push_back("lane " + std::to_string(item.lane().lane()) + " " +
                        lane_change(item.lane().change()));
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
      case v1::LogItem::kFreeze:
        parts.push_back((item.freeze().thaw() ? "thawed " : "froze ") + item.freeze().scope() +
                        (item.freeze().to_masked() ? " to the masked view" : ""));
        break;
      case v1::LogItem::kHold:
        parts.push_back(item.hold().lift() ? "lifted hold " + item.hold().reference()
                                           : plural(static_cast<uint64_t>(item.hold().idx_size()),
                                                    "record", "records") +
                                                 " held for " + item.hold().reference());
        break;
      case v1::LogItem::kEmbargoLift:
        parts.push_back("embargo lifted on " + item.embargo_lift().purpose() + " " +
                        item.embargo_lift().case_reference());
        break;
      case v1::LogItem::kStore:
        parts.push_back("the store is at " + std::to_string(item.store().position()) +
                        (item.store().lost() ? ", WITH WRITES LOST" : ""));
        break;
      case v1::LogItem::kLogKey:
        parts.emplace_back(log_key_step(item.log_key().step()));
        break;
      case v1::LogItem::kDestruction:
        parts.push_back(destruction_step(item.destruction()));
        break;
      case v1::LogItem::kApproval: {
        constexpr const char* kSteps[] = {"asked as", "approved", "denied", "withdrew"};
        parts.push_back(std::string(kSteps[std::min(3, static_cast<int>(item.approval().step()))]) +
                        " request " + std::to_string(item.approval().request()));
        break;
      }
      case v1::LogItem::kReview:
        parts.push_back(plural(static_cast<uint64_t>(item.review().leaves_size()),
                               "emergency use reviewed", "emergency uses reviewed"));
        break;
      case v1::LogItem::kAlarm:
        parts.push_back("alarm: " + watch::explain(item.alarm()) + "; " +
                        watch::consequence(item.alarm()));
        break;
      case v1::LogItem::kRefused:
        parts.push_back(plural(item.refused().count(), "call", "calls") + " of " +
                        refused_of(item.refused()) + " refused");
        break;
      case v1::LogItem::kCanaries:
        parts.push_back(plural(item.canaries().count(), "canary", "canaries") +
                        (item.canaries().lost() ? " lost in a crash" : " planted"));
        break;
      case v1::LogItem::kSeal:
        parts.push_back("sealed the vault");
        break;
      case v1::LogItem::kRoot:
        parts.push_back(root_step(item.root()));
        break;
      case v1::LogItem::kCounters:
        parts.push_back("what the " + format_count(item.counters().leaf()) +
                        " entries before add up to is written down, " +
                        format_count(item.counters().size() >> 10) + " KiB");
        break;
      case v1::LogItem::kExport:
        parts.push_back("export under request " + std::to_string(item.export_().request()) +
                        " may be done until " + format_time(item.export_().until_ms()));
        break;
      case v1::LogItem::kReported:
        parts.push_back(
            "told who opened a record: " + plural(item.reported().lines(), "line", "lines") +
            (item.reported().hidden() == 0
                 ? ""
                 : ", " + std::to_string(item.reported().hidden()) + " withheld"));
        break;
      case v1::LogItem::kBackup:
        parts.push_back(std::string(backup_step(item.backup().step())) + ", backup " +
                        item.backup().id());
        break;
      case v1::LogItem::kRestored:
        parts.push_back("RESTORED from backup " + item.restored().backup() + " as of " +
                        format_time(item.restored().taken_ms()) +
                        (item.restored().origin().empty() ? "" : ", the log's end lost"));
        break;
      default:
        break;
    }
    if (!item.author().empty() && who.empty()) who = item.author();
  }
  if (releases > 0) parts.push_back(plural(releases, "record opened", "records opened"));
  if (tokens > 0) parts.push_back(plural(tokens, "term searched", "terms searched"));
  if (grants > 0) parts.push_back(plural(grants, "record written", "records written"));
  if (erasures > 0) parts.push_back(plural(erasures, "record erased", "records erased"));
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
