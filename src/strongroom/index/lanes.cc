#include "strongroom/index/lanes.h"

#include "strongroom/base/check.h"
#include "strongroom/crypto/random.h"

namespace strongroom::index {
namespace {

std::string text_of(Bytes bytes) {
  return std::string(as_text(bytes));
}

}  // namespace

OnlineLane::OnlineLane(LaneId lane, LaneRoot root)
    : lane_(lane), tokens_(root), directory_(lane, root) {
  SR_CHECK(lane.value <= kLaneMax, "a lane number has 24 bits");
}

void OnlineLane::write(const Posting& posting, std::span<const TermHash> terms,
                       WritePadding padding, std::vector<SealedRow>& postings,
                       std::vector<SealedRow>& directory) {
  ++records_;
  post(posting, terms, padding, postings, directory);
}

void OnlineLane::write_dead(const Posting& superseded, const TermHash& dead,
                            std::vector<SealedRow>& postings, std::vector<SealedRow>& directory) {
  post(superseded, {&dead, 1}, WritePadding::kNarrow, postings, directory);
}

void OnlineLane::post(const Posting& posting, std::span<const TermHash> terms, WritePadding padding,
                      std::vector<SealedRow>& postings, std::vector<SealedRow>& directory) {
  for (const TermHash& h_w : terms) counters_.prefetch(h_w);
  directory.push_back(directory_.write_row(posting, terms, padding));
  std::vector<TermToken> tokens(terms.size());
  tokens_.tokens(terms, tokens);
  for (size_t t = 0; t < terms.size(); ++t) {
    SealedPosting row;
    TermCipher(lane_, tokens[t]).seal_singles(counters_.next(terms[t]), {&posting, 1}, {&row, 1});
    postings.push_back({text_of(row.key), text_of(row.value)});
  }
  // Without T a label, a pad and a tag are random bytes to anyone, and so are these.
  size_t rows = terms.size();
  for (; rows % static_cast<size_t>(padding) != 0; ++rows) {
    SealedPosting row;
    store_be<uint32_t>(row.key.data(), lane_.value, 3);
    crypto::random_nonce(MutableBytes(row.key).subspan(3));
    crypto::random_nonce(row.value);
    postings.push_back({text_of(row.key), text_of(row.value)});
  }
  postings_ += rows;
}

}  // namespace strongroom::index
