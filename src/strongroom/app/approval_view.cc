#include "strongroom/app/approval_view.h"

#include "strongroom/app/cli.h"
#include "strongroom/base/bytes.h"
#include "strongroom/policy/approvals.h"
#include "strongroom/policy/policy.h"
#include "strongroom/rpc/yaml.h"

namespace strongroom::app {

std::string waits_for_approval(uint64_t id, const char* so_far) {
  const std::string n = std::to_string(id);
  return std::string(so_far) + ": it is request " + n +
         ", for several to sign with `strongroom approve " + n + "`\n";
}

Result<ReadRequest> read_request(const Credential& credential, const v1::RequestView& view) {
  ByteArray<16> vault{};
  SR_CHECK(from_hex(credential.connection.vault_hex, vault),
           "checked when the credential was loaded");
  ReadRequest out;
  SR_ASSIGN(out.request, policy::parse_approval_request(view.request(), vault));
  out.bytes = view.request();
  out.view = view;
  return out;
}

std::string summary_of(const v1::ApprovalRequest& request) {
  switch (request.change_case()) {
    case v1::ApprovalRequest::kPolicy:
      return "policy version " + std::to_string(request.policy().version());
    case v1::ApprovalRequest::kPrincipal:
      return "principal " + request.principal().name() + ", " + request.principal().role();
    case v1::ApprovalRequest::kCollection:
      return "collection " + request.collection().name() + ", revision " +
             std::to_string(request.collection().revision()) +
             (request.collection().reindexing().renew() ? ": all its terms under a fresh key" : "");
    case v1::ApprovalRequest::kThaw:
      return "thaw " + request.thaw();
    case v1::ApprovalRequest::kRoot:
      return request.root().key_file()
                 ? "INSECURE: a new root key, in a file"
                 : "a new root key, " + std::to_string(request.root().threshold()) + " of " +
                       std::to_string(request.root().holders_size()) + " shares";
    case v1::ApprovalRequest::kLiftHold:
      return "lift the legal hold " + printable(request.lift_hold());
    case v1::ApprovalRequest::kEmbargoLift:
      return "tell the people concerned who opened their records for " +
             printable(request.embargo_lift().purpose()) + ", case " +
             printable(request.embargo_lift().case_reference());
    case v1::ApprovalRequest::kExport:
      return "export of at most " + format_count(request.export_().records_max()) +
             " records, for " + printable(request.export_().purpose());
    case v1::ApprovalRequest::kDestruction:
      return "ERASE FOR EVER the " + format_count(request.destruction().records()) +
             " records of collection number " + std::to_string(request.destruction().collection()) +
             " from before " + format_time(request.destruction().before_ms());
    case v1::ApprovalRequest::kLogKey:
      return "a fresh key to sign the log with";
    case v1::ApprovalRequest::CHANGE_NOT_SET:
      break;
  }
  return "nothing";
}

std::vector<std::string> lines_of(const v1::ApprovalRequest& request, const v1::Policy& current) {
  std::vector<std::string> out{
      "request " + std::to_string(request.id()) + ": " + summary_of(request),
      "asked by " + request.author() + " at " + format_time(request.created_ms()) + ", expires " +
          format_time(request.expires_ms()),
      "reason: " + (request.reason().empty() ? "none given" : printable(request.reason()))};
  switch (request.change_case()) {
    case v1::ApprovalRequest::kPolicy:
      out.push_back("changes to the policy in force, version " + std::to_string(current.version()) +
                    ":");
      for (const std::string& line : policy::diff_policies(current, request.policy()).lines) {
        out.push_back("  " + printable(line));
      }
      break;
    case v1::ApprovalRequest::kPrincipal:
      out.push_back("  role        " + request.principal().role());
      if (!request.principal().unit().empty()) {
        out.push_back("  unit        " + printable(request.principal().unit()));
      }
      out.push_back("  public key  " + to_hex(as_bytes(request.principal().public_key())));
      out.push_back(std::string("  state       ") +
                    (request.principal().disabled() ? "disabled" : "active"));
      break;
    case v1::ApprovalRequest::kCollection: {
      const std::string yaml = rpc::to_yaml(request.collection());
      for (size_t at = 0; at < yaml.size();) {
        const size_t end = std::min(yaml.find('\n', at), yaml.size());
        out.push_back("  " + printable(yaml.substr(at, end - at)));
        at = end + 1;
      }
      break;
    }
    case v1::ApprovalRequest::kRoot:
      if (request.root().key_file()) {
        out.push_back("  it lies in a file beside the data: whoever copies that folder reads all");
        break;
      }
      out.push_back("  threshold   " + std::to_string(request.root().threshold()));
      for (const std::string& holder : request.root().holders()) {
        out.push_back("  holder      " + printable(holder));
      }
      break;
    case v1::ApprovalRequest::kExport: {
      const v1::ExportPlan& plan = request.export_();
      std::string fields;
      for (const std::string& field : plan.fields()) {
        fields += (fields.empty() ? "" : ", ") + printable(field);
      }
      out.push_back("  collection  number " + std::to_string(plan.collection()));
      for (const v1::Term& term : plan.terms()) {
        out.push_back("  where       " + printable(to_json(term)));
      }
      out.push_back("  fields      " + fields + (plan.masked() ? ", masked" : ""));
      out.push_back("  records     at most " + format_count(plan.records_max()));
      out.push_back("  purpose     " + printable(plan.purpose()) + ", case " +
                    printable(plan.case_reference()));
      out.push_back("  open for    " + std::to_string(plan.hours()) + " hours once approved");
      break;
    }
    case v1::ApprovalRequest::kDestruction:
      out.push_back(
          "  once approved it waits for the policy's delay; until then one can cancel it");
      break;
    case v1::ApprovalRequest::kLogKey:
      out.push_back("  the old key signs beside it until `log key finish` ends it");
      break;
    case v1::ApprovalRequest::kEmbargoLift:
      out.push_back(
          "  all openings of before the last approval, whatever day they are hidden until");
      break;
    case v1::ApprovalRequest::kThaw:
    case v1::ApprovalRequest::kLiftHold:
    case v1::ApprovalRequest::CHANGE_NOT_SET:
      break;
  }
  return out;
}

const char* state_of(const v1::RequestView& view) {
  switch (view.state()) {
    case v1::RequestView::DONE:
      return "done";
    case v1::RequestView::DENIED:
      return "denied";
    case v1::RequestView::WITHDRAWN:
      return "withdrawn";
    case v1::RequestView::EXPIRED:
      return "expired";
    default:
      return "open";
  }
}

}  // namespace strongroom::app
