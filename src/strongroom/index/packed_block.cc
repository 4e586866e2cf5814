#include "strongroom/index/packed_block.h"

#include <algorithm>
#include <array>
#include <bit>

#include "strongroom/base/check.h"

namespace strongroom::index {
namespace {

constexpr size_t kFirstSize = 9;
constexpr size_t kBlockHead = 2 + kFirstSize;  // Count and first posting.
constexpr size_t kCountMax = 65'535;           // Of a block: a count has 16 bits.
constexpr size_t kGroup = 64;
// In the first byte of a group, beside how many bits a step has.
constexpr uint8_t kWidthBits = 0x3f;
constexpr uint8_t kHasOthers = 0x40;  // Some versions are not what is expected.
constexpr uint8_t kHasOffset = 0x80;  // What is expected changes.
constexpr int kIdxBits = 40;
// Saying the offset anew takes four bytes, a version that is not as expected about one.
constexpr size_t kOffsetWorth = 4;
// First byte, span, offset, steps, mask, lowest version, its bits, versions.
constexpr size_t kGroupSizeMax = 1 + 7 + 4 + kGroup * kIdxBits / 8 + 8 + 4 + 1 + kGroup * 4;

size_t bytes_for(size_t numbers, int width) {
  return (numbers * static_cast<size_t>(width) + 7) / 8;
}

uint64_t low_bits(int width) {
  return (uint64_t{1} << width) - 1;
}

// Of up to 40 bits, the lowest first.
uint64_t bits_at(const uint8_t* from, size_t number, int width) {
  const size_t bit = number * static_cast<size_t>(width);
  return load_le64(from + bit / 8) >> bit % 8 & low_bits(width);
}

// Into zeros.
void put_bits(uint8_t* to, size_t number, int width, uint64_t value) {
  const size_t bit = number * static_cast<size_t>(width);
  store_le64(to + bit / 8, load_le64(to + bit / 8) | value << bit % 8);
}

// Records of a bulk import that follow each other in a block of numbers share their version, and
// the next block has the next one: so this is the same for all of them.
uint32_t offset_of(const Posting& posting) {
  return posting.u_lo - posting.idx.block();
}

// The offset that most of a group have, of equals the lowest.
uint32_t commonest_offset(std::span<const Posting> group) {
  std::array<uint32_t, kGroup> offsets;
  std::transform(group.begin(), group.end(), offsets.begin(), offset_of);
  const auto end = offsets.begin() + group.size();
  std::sort(offsets.begin(), end);
  uint32_t best = offsets[0];
  std::ptrdiff_t most = 0;
  for (auto at = offsets.begin(); at != end;) {
    const auto next = std::upper_bound(at, end, *at);
    if (next - at > most) {
      most = next - at;
      best = *at;
    }
    at = next;
  }
  return best;
}

size_t count_of(std::span<const Posting> group, uint32_t offset) {
  return static_cast<size_t>(std::count_if(
      group.begin(), group.end(), [=](const Posting& p) { return offset_of(p) == offset; }));
}

// Writes a group that follows `before`, to zeros. Returns its size; `offset` is then the one that
// holds behind it.
size_t code_group(RecordIndex before, std::span<const Posting> group, uint32_t& offset,
                  uint8_t* out) {
  uint64_t all_steps = 0;  // Or-ed: has the bits of the longest.
  RecordIndex last = before;
  for (const Posting& posting : group) {
    all_steps |= posting.idx.value - last.value - 1;
    last = posting.idx;
  }
  const auto width = static_cast<int>(std::bit_width(all_steps));
  uint8_t head = static_cast<uint8_t>(width);
  size_t usual = count_of(group, offset);
  size_t at = 1;
  if (width > 0) at += store_varint(out + at, last.value - before.value - group.size());
  if (usual < group.size()) {
    const uint32_t commonest = commonest_offset(group);
    const size_t count = count_of(group, commonest);
    if (count > usual + kOffsetWorth) {
      offset = commonest;
      usual = count;
      head |= kHasOffset;
      store_le<uint32_t>(out + at, offset);
      at += 4;
    }
  }
  last = before;
  for (size_t k = 0; width > 0 && k < group.size(); ++k) {
    put_bits(out + at, k, width, group[k].idx.value - last.value - 1);
    last = group[k].idx;
  }
  at += bytes_for(group.size(), width);
  if (usual < group.size()) {
    head |= kHasOthers;
    uint32_t lowest = UINT32_MAX, highest = 0;
    for (size_t k = 0; k < group.size(); ++k) {
      if (offset_of(group[k]) == offset) continue;
      lowest = std::min(lowest, group[k].u_lo);
      highest = std::max(highest, group[k].u_lo);
      out[at + k / 8] |= static_cast<uint8_t>(1 << k % 8);
    }
    at += bytes_for(group.size(), 1);
    const auto u_width = static_cast<int>(std::bit_width(highest - lowest));
    store_le<uint32_t>(out + at, lowest);
    out[at + 4] = static_cast<uint8_t>(u_width);
    at += 5;
    size_t other = 0;
    for (const Posting& posting : group) {
      if (offset_of(posting) != offset) put_bits(out + at, other++, u_width, posting.u_lo - lowest);
    }
    at += bytes_for(other, u_width);
  }
  out[0] = head;
  return at;
}

// How many of the next postings are a group: of records that differ from the one before.
size_t group_size(RecordIndex before, std::span<const Posting> next) {
  size_t count = 0;
  for (; count < std::min(kGroup, next.size()); ++count) {
    const RecordIndex idx = next[count].idx;
    SR_CHECK(idx >= before && idx.value <= RecordIndex::kMax, "postings ascend in a block");
    if (idx == before) break;
    before = idx;
  }
  return count;
}

// A group as it was read: where its parts are.
struct Group {
  size_t count = 0;
  RecordIndex before, last;
  int width = 0;
  uint32_t offset = 0;
  const uint8_t* steps = nullptr;
  uint64_t others = 0;  // A bit for each posting.
  uint32_t lowest = 0;
  int u_width = 0;
  const uint8_t* versions = nullptr;

  // Sets what is behind `count`, `before` and `offset`; moves `in` behind it.
  bool parse(Bytes& in) {
    ByteReader reader(in);
    const uint8_t head = static_cast<uint8_t>(reader.le(1));
    width = head & kWidthBits;
    if (width > kIdxBits) return false;
    const uint64_t over = width > 0 ? reader.varint() : 0;
    const uint64_t span = std::min(over, RecordIndex::kMax) + count;
    if ((head & kHasOffset) != 0) offset = static_cast<uint32_t>(reader.le(4));
    steps = reader.take(bytes_for(count, width)).data();  // Without bits: read, but not used.
    others = 0;
    if ((head & kHasOthers) != 0) {
      const Bytes mask = reader.take(bytes_for(count, 1));
      for (size_t b = 0; b < mask.size(); ++b) others |= uint64_t{mask[b]} << 8 * b;
      lowest = static_cast<uint32_t>(reader.le(4));
      u_width = static_cast<uint8_t>(reader.le(1));
      if (u_width > 32 || others == 0 || (count < kGroup && others >> count != 0)) return false;
      versions = reader.take(bytes_for(static_cast<size_t>(std::popcount(others)), u_width)).data();
    }
    if (!reader.ok() || span > RecordIndex::kMax - before.value) return false;
    last = {before.value + span};
    in = in.last(reader.remaining());
    return true;
  }

  uint64_t step(size_t number) const { return 1 + bits_at(steps, number, width); }
  uint32_t other_version(size_t number) const {
    return lowest + static_cast<uint32_t>(bits_at(versions, number, u_width));
  }

  Posting last_posting() const {
    const bool usual = (others >> (count - 1) & 1) == 0;
    const size_t number = static_cast<size_t>(std::popcount(others)) - 1;
    return {last, usual ? offset + last.block() : other_version(number)};
  }

  // Appends; false: the steps do not lead to its end.
  bool postings(const IdxFilter* only, std::vector<Posting>& out) const {
    // Left as they are: making them zeros would cost what decoding does.
    uint64_t found[kGroup + 1];
    uint8_t places[kGroup + 1];
    size_t kept = 0;
    uint64_t idx = before.value;
    if (only == nullptr) {
      for (; kept < count; ++kept) found[kept] = idx += step(kept);
    } else {
      // Nobody could predict whether the filter has one: so no branch hangs on it.
      for (size_t k = 0; k < count; ++k) {
        idx += step(k);
        found[kept] = idx;
        places[kept] = static_cast<uint8_t>(k);
        kept += only->has(RecordIndex{idx});
      }
    }
    if (idx != last.value) return false;
    const size_t begun = out.size();
    out.resize(begun + kept);
    const std::span<Posting> added = std::span(out).subspan(begun);
    for (size_t i = 0; i < kept; ++i) {
      const RecordIndex at{found[i]};
      added[i] = {at, offset + at.block()};
    }
    if (others != 0 && kept == count) {
      size_t number = 0;
      for (uint64_t left = others; left != 0; left &= left - 1) {
        added[static_cast<size_t>(std::countr_zero(left))].u_lo = other_version(number++);
      }
    } else if (others != 0) {
      for (size_t i = 0; i < kept; ++i) {
        if ((others >> places[i] & 1) == 0) continue;
        const uint64_t below = others & low_bits(places[i]);
        added[i].u_lo = other_version(static_cast<size_t>(std::popcount(below)));
      }
    }
    return true;
  }
};

}  // namespace

BlockContent code_block(std::span<const Posting> postings, size_t capacity, MutableBytes out) {
  SR_CHECK(!postings.empty(), "a block has a posting");
  SR_CHECK(out.size() >= capacity + kContentSlack, "room for a block");
  const Posting& first = postings[0];
  SR_CHECK(first.idx.value <= RecordIndex::kMax, "a record index has 40 bits");
  store_le<uint64_t>(out.data() + 2, first.idx.value, 5);
  store_le<uint32_t>(out.data() + 7, first.u_lo);
  BlockContent content{1, kBlockHead};
  uint32_t offset = offset_of(first);
  for (bool full = false; !full && content.count < postings.size();) {
    const RecordIndex before = postings[content.count - 1].idx;
    const auto left = postings.subspan(content.count);
    const size_t whole = std::min(group_size(before, left), kCountMax - content.count);
    if (whole == 0) break;
    std::array<uint8_t, kGroupSizeMax + kContentSlack> coded;
    uint32_t next_offset = offset;
    const auto size_of = [&](size_t count) {
      coded.fill(0);
      next_offset = offset;
      return code_group(before, left.first(count), next_offset, coded.data());
    };
    const size_t room = capacity - content.size;
    size_t count = whole;
    size_t size = size_of(count);
    full = whole < kGroup || size > room;
    if (size > room) {  // As many as there is room for.
      count = 0;
      for (size_t step = kGroup / 2; step > 0; step /= 2) {
        if (count + step < whole && size_of(count + step) <= room) count += step;
      }
      if (count == 0) break;
      size = size_of(count);
    }
    std::copy_n(coded.begin(), size, out.begin() + static_cast<std::ptrdiff_t>(content.size));
    content = {content.count + count, content.size + size};
    offset = next_offset;
  }
  store_le<uint16_t>(out.data(), static_cast<uint16_t>(content.count));
  std::fill(out.begin() + static_cast<std::ptrdiff_t>(content.size), out.end(), uint8_t{0});
  return content;
}

bool decode_block(Bytes plain, const IdxFilter* only, std::vector<Posting>& out,
                  BlockExtent& extent, size_t& size) {
  ByteReader head(plain);
  extent.count = head.le(2);
  const Bytes first = head.take(kFirstSize);
  if (!head.ok() || extent.count == 0) return false;
  const Posting posting{{load_le<uint64_t>(first.data(), 5)}, load_le<uint32_t>(first.data() + 5)};
  const size_t before = out.size();
  if (only == nullptr) out.reserve(before + extent.count);
  if (only == nullptr || only->has(posting.idx)) out.push_back(posting);
  extent.first = extent.last = posting;
  Group group;
  group.last = posting.idx;
  group.offset = offset_of(posting);
  Bytes rest = plain.subspan(kBlockHead);
  for (size_t done = 1; done < extent.count; done += group.count) {
    group.count = std::min(kGroup, extent.count - done);
    group.before = group.last;
    const bool parsed = group.parse(rest);
    const bool wanted = parsed && (only == nullptr || only->may_have(group.before, group.last));
    if (!parsed || (wanted && !group.postings(only, out))) {
      out.resize(before);
      return false;
    }
  }
  if (extent.count > 1) extent.last = group.last_posting();
  size = plain.size() - rest.size();
  return true;
}

}  // namespace strongroom::index
