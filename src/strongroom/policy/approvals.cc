#include "strongroom/policy/approvals.h"

#include <algorithm>

namespace strongroom::policy {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::string_view kLabel{"strongroom approval v1\0", 23};

Error invalid(const char* text) {
  return make_error(ErrorCode::kInvalidArgument, text);
}

bool knows_all(const Message& message) {
  const auto& reflection = *message.GetReflection();
  if (!reflection.GetUnknownFields(message).empty()) return false;
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      if (!knows_all(reflection.GetMessage(message, field))) return false;
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      if (!knows_all(reflection.GetRepeatedMessage(message, field, i))) return false;
    }
  }
  return true;
}

}  // namespace

std::string approval_message(Decision decision, std::string_view request) {
  std::string message(kLabel);
  message.push_back(static_cast<char>(decision));
  message += request;
  return message;
}

Result<v1::ApprovalRequest> parse_approval_request(std::string_view bytes,
                                                   const ByteArray<16>& vault) {
  v1::ApprovalRequest request;
  if (bytes.size() > kApprovalBytesMax ||
      !request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return invalid("This request cannot be read.");
  }
  if (as_bytes(request.vault()).size() != vault.size() ||
      !std::equal(vault.begin(), vault.end(), as_bytes(request.vault()).begin())) {
    return invalid("This request is of another vault.");
  }
  if (request.change_case() == v1::ApprovalRequest::CHANGE_NOT_SET || request.id() == 0) {
    return invalid("This request asks for nothing that this version knows.");
  }
  if (!knows_all(request)) {
    return invalid(
        "This request holds something that this version does not know, and so could not show. "
        "Use the version of the key server.");
  }
  return request;
}

const RequestState* Approvals::find(uint64_t id) const {
  const auto it = requests_.find(id);
  return it == requests_.end() ? nullptr : &it->second;
}

size_t Approvals::open_count(uint64_t t_ms) const {
  return static_cast<size_t>(
      std::count_if(requests_.begin(), requests_.end(), [&](const auto& item) {
        return item.second.end == RequestState::End::kOpen && !item.second.expired(t_ms);
      }));
}

Result<void> Approvals::check_open(uint64_t id, std::string_view who, uint64_t t_ms) const {
  const RequestState* state = find(id);
  if (state == nullptr) {
    return make_error(ErrorCode::kNotFound, "There is no such request. `requests` lists them.");
  }
  const auto closed = [](const char* text) {
    return make_error(ErrorCode::kFailedPrecondition, text);
  };
  switch (state->end) {
    case RequestState::End::kDone:
      return closed("This request was approved by enough, and is done.");
    case RequestState::End::kDenied:
      return closed("This request was denied. Whoever still wants it asks anew.");
    case RequestState::End::kWithdrawn:
      return closed("This request was withdrawn by whoever made it.");
    case RequestState::End::kOpen:
      break;
  }
  if (state->expired(t_ms)) return closed("This request has expired. Ask anew.");
  if (state->request.author() == who) {
    return make_error(ErrorCode::kPermissionDenied,
                      "Nobody decides on their own request. `request withdraw` takes it back.");
  }
  for (const Approval& approval : state->approved) {
    if (approval.approver == who) {
      return make_error(ErrorCode::kAlreadyExists, "You have approved this request already.");
    }
  }
  return {};
}

RequestState* Approvals::open_request(uint64_t id) {
  const auto it = requests_.find(id);
  if (it == requests_.end() || it->second.end != RequestState::End::kOpen) return nullptr;
  return &it->second;
}

// The oldest that are closed, or have expired without anybody's looking.
void Approvals::forget() {
  for (auto it = requests_.begin();
       it != requests_.end() && requests_.size() > kOpenRequestsMax + kClosedRequestsKept;) {
    const bool open = it->second.end == RequestState::End::kOpen &&
                      !it->second.expired(requests_.rbegin()->second.request.created_ms());
    it = open ? std::next(it) : requests_.erase(it);
  }
}

bool Approvals::open(v1::ApprovalRequest request, std::string bytes, uint64_t leaf) {
  const uint64_t id = request.id();
  if (id != next_id_) return false;
  ++next_id_;
  RequestState state;
  state.request = std::move(request);
  state.bytes = std::move(bytes);
  state.leaf = leaf;
  requests_.emplace(id, std::move(state));
  forget();
  return true;
}

bool Approvals::approve(uint64_t id, Approval approval, bool done, uint64_t leaf) {
  RequestState* state = open_request(id);
  if (state == nullptr) return false;
  state->closed_by = done ? approval.approver : "";
  state->approved.push_back(std::move(approval));
  state->leaf = leaf;
  if (done) state->end = RequestState::End::kDone;
  return true;
}

bool Approvals::close(uint64_t id, RequestState::End end, std::string who, uint64_t leaf) {
  RequestState* state = open_request(id);
  if (state == nullptr) return false;
  state->end = end;
  state->closed_by = std::move(who);
  state->leaf = leaf;
  return true;
}

}  // namespace strongroom::policy
