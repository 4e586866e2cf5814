// Requests as a connection feeds them, cut as the first byte says: the same steps and the same
// request as in one piece.
#include <algorithm>
#include <string>

#include "strongroom/base/bytes.h"
#include "strongroom/base/check.h"
#include "strongroom/rpc/http_request.h"

namespace {

using strongroom::rpc::RequestParser;
using Step = RequestParser::Step;

std::string requests_of(std::string_view stream, size_t piece) {
  RequestParser parser;
  std::string out;
  std::string waiting;
  size_t at = 0;
  for (;;) {
    size_t consumed = 0;
    const Step step = parser.feed(waiting, &consumed);
    waiting.erase(0, consumed);
    switch (step) {
      case Step::kNeedMore:
        if (at == stream.size()) return out;
        waiting.append(stream.substr(at, piece));
        at = std::min(stream.size(), at + piece);
        break;
      case Step::kHead:
        if (const auto refusal = check_head(parser.head(), true, 1000)) {
          out += std::to_string(refusal->http_status);
          if (refusal->close) return out;
          parser.discard_body();
        }
        break;
      case Step::kBody:
        break;
      case Step::kDone:
        out += parser.head().path + "|" + parser.head().authorization + "|" + parser.body() + "\n";
        parser.reset();
        break;
      case Step::kHeadTooLarge:
      case Step::kMalformed:
        return out;  // Which of the two may depend on how much was there to look at.
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view stream = strongroom::as_text({data + 1, size - 1});
  SR_CHECK(requests_of(stream, size_t{1} + data[0]) == requests_of(stream, stream.size() + 1),
           "requests do not depend on how the stream was cut");
  return 0;
}
