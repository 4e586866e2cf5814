// A store that answers anything, under real tokens: search never crashes and never opens a posting
// that was not written.
//   input  query u8 | n x (row u16be | what u8 | operand u8 [| bytes])
#include <algorithm>
#include <map>
#include <set>

#include "strongroom/crypto/random.h"
#include "strongroom/gateway/search.h"
#include "strongroom/gateway/search_testing.h"
#include "strongroom/index/lane_packer.h"
#include "strongroom/index/lanes.h"

using namespace strongroom;
using namespace strongroom::gateway;
using index::Posting;

namespace {

constexpr size_t kLanes = 3;
constexpr uint8_t kTerms = 4;

TermHash hash_of(uint8_t term) {
  TermHash h;
  h.bytes.fill(static_cast<uint8_t>(term + 1));
  return h;
}

struct World {
  std::map<std::string, std::string> rows;
  std::vector<LaneId> lanes;
  std::vector<TermToken> tokens;  // By term, by lane.
  std::map<uint8_t, std::set<Posting>> postings;

  World() {
    crypto::init();
    tokens.resize(kTerms * kLanes);
    for (uint32_t l = 0; l < kLanes; ++l) {
      ByteArray<32> bytes;
      bytes.fill(static_cast<uint8_t>(0x40 + l));
      LaneRoot root(bytes);
      lanes.push_back(LaneId{l + 1});
      crypto::LaneTokens of_lane(root);
      for (uint8_t t = 0; t < kTerms; ++t) tokens[t * kLanes + l] = of_lane.token(hash_of(t));
      index::LanePacker packer(lanes.back(), std::move(root));
      // Term 0 is in every record, term 3 in few: singles, one block, several blocks.
      for (uint64_t i = 0; i < 30 + 700 * (l == 2); ++i) {
        const Posting posting{RecordIndex{l * 10'000 + i}, static_cast<uint32_t>(i)};
        for (uint8_t t = 0; t < kTerms; ++t) {
          if (i % (1u << (3 * t)) != 0) continue;
          packer.add(hash_of(t), posting);
          postings[t].insert(posting);
        }
      }
      const auto keep = [&](std::string_view key, std::string_view value) -> Result<void> {
        rows.emplace(key, value);
        return {};
      };
      SR_CHECK(packer.finish(keep, [](auto, auto) { return Result<void>(); }).has_value(),
               "a packed lane");
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const World world;
  ByteReader in({data, size});
  const auto query = static_cast<uint8_t>(in.be(1));
  auto rows = world.rows;
  while (in.remaining() >= 4) {
    auto row = rows.begin();
    std::advance(row, static_cast<ptrdiff_t>(in.be(2) % rows.size()));
    const uint64_t what = in.be(1), operand = in.be(1);
    std::string& value = row->second;
    switch (what % 5) {
      case 0:
        value = as_text(in.take(std::min<size_t>(operand * 5, in.remaining())));
        break;
      case 1:
        if (!value.empty()) {
          char& byte = value[operand * 7 % value.size()];
          byte = static_cast<char>(byte ^ (1 << operand % 8));
        }
        break;
      case 2: {
        auto other = rows.begin();
        std::advance(other, static_cast<ptrdiff_t>(operand % rows.size()));
        value.swap(other->second);
        break;
      }
      case 3:
        value.resize(operand * 9);
        break;
      default:
        if (rows.size() > 1) rows.erase(row);
    }
  }
  const auto store = store::open_memory_store();
  std::vector<store::Put> puts;
  for (auto& [key, value] : rows) puts.push_back({store::Table::kPostings, key, value});
  SR_CHECK(store->put(puts, store::Durability::kBuffered).has_value(), "a memory store");

  std::vector<TermToken> tokens;
  std::vector<uint8_t> terms;
  for (uint8_t t = 0; t < kTerms; ++t) {
    if ((query >> t & 1) == 0) continue;
    terms.push_back(t);
    for (size_t l = 0; l < kLanes; ++l) tokens.push_back(world.tokens[t * kLanes + l].clone());
  }
  if (terms.empty()) return 0;
  SearchStats stats;
  const SearchLimits limits{query >= 0x80 ? uint64_t{200} : uint64_t{10'000}};
  const auto found =
      search(*store, world.lanes, tokens, terms.size(), all_of(terms.size()), limits, stats);
  if (!found) {
    SR_CHECK(
        found.error().code == ErrorCode::kDataLoss || found.error().code == ErrorCode::kTooBroad,
        "damaged, or more than may be read");
    return 0;
  }
  const auto postings = postings_of(*found);
  SR_CHECK(std::adjacent_find(postings.begin(), postings.end(), std::greater_equal<>()) ==
               postings.end(),
           "ascending, each once");
  for (const Posting& posting : postings) {
    for (const uint8_t t : terms) {
      SR_CHECK(world.postings.at(t).contains(posting), "only what was written");
    }
  }
  return 0;
}
