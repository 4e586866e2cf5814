#include "strongroom/tlog/witness_client.h"

#include <charconv>

namespace strongroom::tlog {
namespace {

constexpr int kTries = 3;  // Once to learn the size; another log of ours may be faster in between.

std::optional<uint64_t> parse_size_line(std::string_view body) {
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), size);
  if (error != std::errc{} || std::string_view(end, body.data() + body.size() - end) != "\n") {
    return std::nullopt;
  }
  return size;
}

Error refused(int status) {
  if (status == 422) {
    return make_error(
        ErrorCode::kConflict,
        "A witness has cosigned another story of this log: it was forked or put back. "
        "Compare the log with the witness's checkpoint before anything is released.");
  }
  if (status == 403 || status == 404) {
    return make_error(ErrorCode::kInvalidArgument,
                      "A witness does not know this log or its key. Whoever runs it must start it "
                      "with --log and the log's verifier key.");
  }
  return make_error(ErrorCode::kUnavailable, "A witness refused a checkpoint (the HTTP status).",
                    status);
}

// Without all signature lines but the last, which is by the log's newest key.
std::string by_newest_key(std::string_view note) {
  const size_t blank = note.rfind("\n\n");
  const size_t last = note.size() < 2 ? note.npos : note.rfind('\n', note.size() - 2);
  if (blank == note.npos || last == note.npos || last <= blank) return std::string(note);
  return std::string(note.substr(0, blank + 2)) + std::string(note.substr(last + 1));
}

}  // namespace

Result<WitnessClient::Outcome> WitnessClient::offer(std::string_view note, uint64_t size,
                                                    const TileReader& read) {
  const std::string newest = by_newest_key(note);
  auto outcome = offer_note(newest, size, read);
  if (outcome) {
    outcome->by_newest_key = true;
  } else if (outcome.error().code == ErrorCode::kInvalidArgument && newest != note) {
    return offer_note(note, size, read);
  }
  return outcome;
}

Result<WitnessClient::Outcome> WitnessClient::offer_note(std::string_view note, uint64_t size,
                                                         const TileReader& read) {
  const auto parsed = parse_note(note);
  if (!parsed) return make_error(ErrorCode::kInvalidArgument, "This is no checkpoint.");
  for (int i = 0; i < kTries; ++i) {
    if (cosigned_ > size) return Outcome{{}, cosigned_};
    AddCheckpoint request{cosigned_, {}, note};
    if (cosigned_ > 0 && cosigned_ < size) {
      SR_ASSIGN(request.proof, prove_consistency(read, cosigned_, size));
    }
    SR_ASSIGN(const WitnessReply reply, post_(format_add_checkpoint(request)));
    if (reply.status == 409) {
      const auto seen = parse_size_line(reply.body);
      if (!seen) return refused(reply.status);
      cosigned_ = *seen;
      continue;
    }
    if (reply.status != 200) return refused(reply.status);
    const auto lines = parse_signature_lines(reply.body);
    if (!lines) return make_error(ErrorCode::kDataLoss, "A witness answered without a signature.");
    SR_ASSIGN(const uint64_t t_s, verify_cosignature(parsed->text, *lines, witness_));
    if (t_s == 0) {
      return make_error(ErrorCode::kDataLoss,
                        "Somebody else than the witness answered in its place: the cosignature is "
                        "not by its key.");
    }
    cosigned_ = size;
    return Outcome{reply.body, std::nullopt};
  }
  return make_error(ErrorCode::kUnavailable, "A witness's answers contradict each other.");
}

}  // namespace strongroom::tlog
