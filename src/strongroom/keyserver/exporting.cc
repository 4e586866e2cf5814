// Exports: asked for by whoever will do them, approved by several, then opened batch by batch.
#include <algorithm>

#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/refusals.h"

namespace strongroom::keyserver {
namespace {

Error denied(const char* text) {
  return make_error(ErrorCode::kPermissionDenied, text);
}

// The groups that hold these fields, or the masked view's. 0: a field is none of the collection.
uint32_t groups_of(const v1::Collection& collection, const v1::ExportPlan& plan) {
  uint32_t groups = 0;
  for (const std::string& name : plan.fields()) {
    const auto field = std::ranges::find(collection.fields(), name, &v1::Field::name);
    if (field == collection.fields().end()) return 0;
    for (const v1::Group& group : collection.groups()) {
      if (group.name() == field->group()) groups |= 1u << group.id();
    }
  }
  return plan.masked() && groups != 0 ? 1u << policy::kMaskedGroup : groups;
}

policy::Ask ask_of(const std::string& who, const v1::ExportPlan& plan, uint32_t groups) {
  policy::Ask ask;
  ask.principal = who;
  ask.purpose = plan.purpose();
  ask.case_reference = plan.case_reference();
  ask.collection = CollectionId{plan.collection()};
  ask.action = v1::EXPORT;
  ask.groups = groups;
  ask.leaves = false;
  return ask;
}

}  // namespace

Result<void> KeyServer::check_plan(const std::string& who, const v1::ExportPlan& plan) {
  const CollectionInfo* collection = ledger_.collection(CollectionId{plan.collection()});
  if (collection == nullptr) {
    return make_error(ErrorCode::kNotFound, "There is no such collection.");
  }
  if (plan.terms().empty() || plan.terms_size() > kExportTermsMax || plan.fields().empty() ||
      plan.fields_size() > kExportFieldsMax || plan.case_reference().size() > kCaseReferenceMax) {
    return invalid("An export names 1 to 64 terms and 1 to 256 fields.");
  }
  if (plan.records_max() == 0 || plan.records_max() > kExportRecordsMax) {
    return invalid("An export is bound to a number of records, at most 10,000,000.");
  }
  if (plan.hours() == 0 || plan.hours() > kExportHoursMax) {
    return invalid("An export is open for 1 to 720 hours.");
  }
  const uint32_t groups = groups_of(collection->definition, plan);
  if (groups == 0) return invalid("An export names a field that the collection does not have.");
  return ledger_.engine().decide(ask_of(who, plan, groups), now_ms());
}

Result<v1::RequestExportResponse> KeyServer::request_export(
    const std::string& who, const v1::RequestExportRequest& request) {
  SR_TRY(check_plan(who, request.plan()));
  const std::string asked = request.plan().SerializeAsString();
  v1::RequestExportResponse out;
  const uint64_t now = now_ms();
  for (const auto& [id, approved] : ledger_.exports().all()) {
    if (approved.author != who || approved.until_ms <= now ||
        approved.plan.SerializeAsString() != asked) {
      continue;
    }
    out.set_request(id);
    out.set_approved(true);
    out.set_until_ms(approved.until_ms);
    out.set_exported(approved.exported);
  }
  if (out.approved()) return out;
  v1::ApprovalRequest approval;
  *approval.mutable_export_() = request.plan();
  SR_ASSIGN(const uint64_t id, propose(who, std::move(approval), request.reason()));
  out.set_request(id);
  return out;
}

Result<const Export*> KeyServer::find_export(const v1::Ticket& ticket, uint64_t now) const {
  const Export* const approved = ledger_.exports().find(ticket.export_());
  if (approved == nullptr || approved->author != ticket.principal()) {
    return denied(
        "Several must approve an export before it is done, and only for whoever asked for it. Ask "
        "with `export`.");
  }
  if (approved->until_ms <= now) {
    return denied(
        "The time that was approved for this export is over; what was exported stays so. Ask "
        "anew.");
  }
  const v1::ExportPlan& plan = approved->plan;
  if (plan.collection() != ticket.collection() || plan.purpose() != ticket.purpose() ||
      plan.case_reference() != ticket.case_reference()) {
    return denied("This ticket is for another collection, purpose or case than was approved.");
  }
  return approved;
}

Result<void> KeyServer::check_export(const v1::Ticket& ticket, const v1::TokensCall& call,
                                     uint64_t now) const {
  SR_ASSIGN(const Export* const approved, find_export(ticket, now));
  if (call.plan() != export_search(approved->plan)) {
    return denied("This is not the search that was approved.");
  }
  return {};
}

Result<void> KeyServer::check_export(const v1::Ticket& ticket, const v1::ReleaseCall& call,
                                     uint64_t count, uint64_t now) const {
  SR_ASSIGN(const Export* const approved, find_export(ticket, now));
  if (call.get() || call.reindex()) return denied("An export opens what its search finds.");
  const CollectionInfo* const collection = ledger_.collection(CollectionId{ticket.collection()});
  if ((call.groups() & ~groups_of(collection->definition, approved->plan)) != 0) {
    return denied("This opens other fields than were approved.");
  }
  const uint64_t most = approved->plan.records_max();
  if (approved->exported + count > most) {
    Error error = denied(
        "This export has opened as many records as were approved (the number); what was exported "
        "stays so. Ask anew for more.");
    error.number = static_cast<int64_t>(most);
    return error;
  }
  // The batch before this is where nobody can take it back, before the next one leaves.
  return witnessing_.has_cosigned(approved->last_leaf);
}

}  // namespace strongroom::keyserver
