#include "strongroom/watch/feed.h"

#include "strongroom/base/bytes.h"

namespace strongroom::watch {

std::optional<Event> Feed::event(uint64_t leaf, uint64_t t_ms, std::span<const v1::LogItem> items) {
  if (items.empty()) return std::nullopt;
  Event event;
  event.leaf = leaf;
  event.t_ms = t_ms;
  if (items[0].has_refused()) {
    const v1::RefusedItem& refused = items[0].refused();
    event.kind = Kind::kRefusal;
    event.principal = refused.principal();
    event.gateway = refused.gateway();
    event.purpose = refused.purpose();
    event.collection = CollectionId{refused.collection()};
    event.count = refused.count();
    return event;
  }
  if (!items[0].has_ticket() || items.size() < 2) return std::nullopt;
  const v1::TicketItem& ticket = items[0].ticket();
  // Nobody's habit: several have signed how much, and a budget of its own says how fast.
  if (ticket.reindex() || ticket.export_() != 0) return std::nullopt;
  event.principal = ticket.principal();
  event.gateway = ticket.gateway();
  event.purpose = ticket.purpose();
  event.collection = CollectionId{ticket.collection()};
  event.count = ticket.charge();
  event.emergency = ticket.emergency();
  records_.clear();
  terms_.clear();
  for (const v1::LogItem& item : items.subspan(1)) {
    if (item.has_release()) {
      records_.push_back(RecordIndex{item.release().idx()});
    } else if (item.has_reported()) {
      records_.push_back(RecordIndex{item.reported().idx()});
    } else if (item.has_token() && item.token().h_w().size() == sizeof(TermHash)) {
      terms_.push_back(
          {load_le<uint64_t>(as_bytes(item.token().h_w()).data()), item.token().near()});
    } else if (item.has_grant() && !item.grant().update()) {
      records_of_[item.grant().collection()] += item.grant().count();
    }
  }
  if (items[1].has_release() || items[1].has_reported()) {
    event.kind = Kind::kRelease;
  } else if (items[1].has_token() && !items[1].token().unique()) {
    event.kind = Kind::kSearch;
  } else if (items[1].has_grant() || items[1].has_erasure()) {
    event.kind = Kind::kWrite;
  } else {
    return std::nullopt;
  }
  event.records = records_;
  event.terms = terms_;
  const auto records = records_of_.find(ticket.collection());
  event.collection_records = records == records_of_.end() ? 0 : records->second;
  return event;
}

}  // namespace strongroom::watch
