#include "strongroom/keyserver/report_check.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>

#include "strongroom/tlog/cosignature.h"
#include "strongroom/tlog/disclosure.h"
#include "strongroom/v1/log.pb.h"

namespace strongroom::keyserver {
namespace {

using tlog::EntryType;
using tlog::Hash;

Error not_a_report() {
  return make_error(ErrorCode::kDataLoss,
                    "This is no subject report: it is damaged, or another file. Ask for it again.");
}

Error not_proven(uint64_t leaf, const char* text) {
  return make_error(ErrorCode::kDataLoss, text, static_cast<int64_t>(leaf));
}

bool to_hashes(const google::protobuf::RepeatedPtrField<std::string>& texts,
               std::vector<Hash>& out) {
  for (const std::string& text : texts) {
    if (text.size() != sizeof(Hash)) return false;
    std::copy(text.begin(), text.end(), reinterpret_cast<char*>(out.emplace_back().data()));
  }
  return true;
}

// What an entry is proven to say.
struct Proven {
  tlog::EntryHead head;
  std::vector<v1::LogItem> items;
};

Result<Proven> check_proof(const v1::EntryProof& proof, EntryType type,
                           const tlog::Checkpoint& checkpoint) {
  const auto wrong = [&] {
    return not_proven(proof.leaf(),
                      "This report does not verify: an entry (the number) is not in the log as it "
                      "says, or an item is not one of that entry. It was changed, or is damaged.");
  };
  const auto head = tlog::parse_entry(as_bytes(proof.entry()));
  std::vector<Hash> path;
  if (!head || head->type != static_cast<uint8_t>(type) || !to_hashes(proof.path(), path) ||
      !tlog::verify_inclusion(tlog::leaf_hash(as_bytes(proof.entry())), proof.leaf(),
                              checkpoint.size, path, checkpoint.root)) {
    return wrong();
  }
  Proven out{*head, {}};
  for (const v1::DisclosedItem& item : proof.items()) {
    tlog::Disclosure shown;
    shown.place = item.place();
    shown.item = item.item();
    if (item.salt().size() != shown.salt.size() || !to_hashes(item.path(), shown.path)) {
      return wrong();
    }
    std::copy(item.salt().begin(), item.salt().end(), reinterpret_cast<char*>(shown.salt.data()));
    if (!tlog::verify_disclosure(*head, shown) ||
        !out.items.emplace_back().ParseFromString(item.item())) {
      return wrong();
    }
  }
  return out;
}

bool says(const v1::ReportLine& line, const v1::ShownItem& shown) {
  static constexpr const char* kAs[] = {"role", "unit", "person"};
  const auto as = static_cast<size_t>(shown.shown_as());
  return as < std::size(kAs) && line.shown_as() == kAs[as] && line.who() == shown.who() &&
         line.purpose() == shown.purpose() && line.purpose_title() == shown.purpose_title() &&
         line.case_reference() == shown.case_reference() &&
         std::ranges::equal(line.groups(), shown.groups());
}

bool says_nothing(const v1::ReportLine& line) {
  return line.shown_as().empty() && line.who().empty() && line.purpose().empty() &&
         line.purpose_title().empty() && line.case_reference().empty() && line.groups().empty();
}

Result<void> check_line(const v1::ReportLine& line, const v1::ReportedRecord& record,
                        const tlog::Checkpoint& checkpoint) {
  SR_ASSIGN(const Proven proven, check_proof(line.proof(), EntryType::kRelease, checkpoint));
  const bool named = proven.items.size() == 2;
  const bool fits = line.t_ms() == proven.head.t_ms && (named || proven.items.size() == 1) &&
                    proven.items[0].has_release() &&
                    proven.items[0].release().idx() == record.idx() &&
                    proven.items[0].release().k() == line.k() &&
                    (named ? proven.items[1].has_shown() && says(line, proven.items[1].shown()) &&
                                 proven.items[1].shown().collection() == record.collection()
                           : says_nothing(line));
  if (fits) return {};
  return not_proven(line.proof().leaf(),
                    "This report does not verify: a line says other than its entry (the number). "
                    "It was changed.");
}

Result<void> check_record(const v1::ReportedRecord& record, const v1::SubjectReport& report,
                          const tlog::Checkpoint& checkpoint) {
  const uint64_t own = record.proof().leaf();
  SR_ASSIGN(const Proven proven, check_proof(record.proof(), EntryType::kReport, checkpoint));
  const auto miscounted = [&] {
    return not_proven(own,
                      "This report does not verify: its lines are not as many as its own entry "
                      "(the number) says, or not in their order. Some were left out or added.");
  };
  if (proven.items.size() != 1 || !proven.items[0].has_reported() ||
      proven.head.t_ms != report.t_ms() || own != report.records(0).proof().leaf()) {
    return miscounted();
  }
  const v1::ReportedItem& item = proven.items[0].reported();
  const auto lines = static_cast<uint64_t>(record.lines_size());
  if (item.idx() != record.idx() || item.releases() != record.releases() ||
      item.hidden() != record.hidden() || item.older() != record.older() || item.lines() != lines ||
      lines + item.hidden() + item.older() != item.releases()) {
    return miscounted();
  }
  uint64_t next_k = record.releases();
  uint64_t next_leaf = own;
  for (const v1::ReportLine& line : record.lines()) {
    SR_TRY(check_line(line, record, checkpoint));
    if (line.k() >= next_k || line.proof().leaf() >= next_leaf) return miscounted();
    next_k = line.k();
    next_leaf = line.proof().leaf();
  }
  // What is older lies before all lines.
  if (next_k < item.older()) return miscounted();
  return {};
}

}  // namespace

Result<v1::SubjectReport> parse_subject_report(std::string_view json) {
  v1::SubjectReport report;
  if (json.size() > kSubjectReportBytesMax ||
      !google::protobuf::util::JsonStringToMessage({json.data(), json.size()}, &report).ok()) {
    return not_a_report();
  }
  if (report.version() > kSubjectReportVersion) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "This report was made by a newer strongroom: check it with that version.");
  }
  if (report.version() == 0 || report.records().empty()) return not_a_report();
  return report;
}

std::string format_subject_report(const v1::SubjectReport& report) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string out;
  SR_CHECK(google::protobuf::util::MessageToJsonString(report, &out, options).ok(),
           "a report is JSON");
  return out;
}

Result<CheckedReport> check_subject_report(const v1::SubjectReport& report,
                                           const tlog::LogKeys& log,
                                           std::span<const tlog::NoteKey> witnesses) {
  if (report.records().empty()) return not_a_report();
  CheckedReport out;
  SR_ASSIGN(out.checkpoint, tlog::verify_checkpoint(report.checkpoint(), log));
  if (report.origin() != out.checkpoint.origin) {
    return make_error(ErrorCode::kInvalidArgument, "This report is of another log.");
  }
  const auto note = tlog::parse_note(report.checkpoint());
  if (!note) return not_a_report();
  for (const tlog::NoteKey& witness : witnesses) {
    SR_ASSIGN(const uint64_t t_s, verify_cosignature(note->text, note->signatures, witness));
    if (t_s != 0) ++out.witnesses;
  }
  for (const v1::ReportedRecord& record : report.records()) {
    SR_TRY(check_record(record, report, out.checkpoint));
    out.lines += static_cast<uint64_t>(record.lines_size());
    out.hidden += record.hidden();
    out.older += record.older();
    out.unnamed += static_cast<uint64_t>(std::ranges::count_if(
        record.lines(), [](const v1::ReportLine& line) { return line.shown_as().empty(); }));
  }
  return out;
}

}  // namespace strongroom::keyserver
