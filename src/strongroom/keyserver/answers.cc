#include "strongroom/keyserver/answers.h"

#include <algorithm>
#include <iterator>

#include "strongroom/crypto/random.h"

namespace strongroom::keyserver {
namespace {

constexpr size_t kSmallest = 16;

// The finaliser of splitmix64.
uint64_t mix(uint64_t h) {
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
  return h ^ (h >> 31);
}

uint64_t not_free(uint64_t key) {
  return key == 0 ? 1 : key;
}

}  // namespace

RequestKeys::RequestKeys() {
  crypto::random_bytes({reinterpret_cast<uint8_t*>(words_.data()), sizeof(words_)});
}

uint64_t RequestKeys::of(Bytes request_id) const {
  uint64_t h = request_id.size();
  while (!request_id.empty()) {
    const size_t size = request_id.size() < 8 ? request_id.size() : 8;
    h = mix((h ^ words_[0]) + load_le<uint64_t>(request_id.data(), size) * (words_[1] | 1));
    request_id = request_id.subspan(size);
  }
  return not_free(h);
}

uint64_t record_key(uint64_t request, RecordIndex idx) {
  return not_free(mix(request + (idx.value + 1) * 0x9e3779b97f4a7c15u));
}

size_t Answers::place_of(uint64_t key) const {
  size_t at = key & (slots_.size() - 1);
  while (slots_[at].key != 0 && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
  return at;
}

const Answer* Answers::find(uint64_t key) const {
  if (slots_.empty()) return nullptr;
  const Answer& slot = slots_[place_of(key)];
  return slot.key == 0 ? nullptr : &slot;
}

Answer& Answers::add(uint64_t key) {
  if ((size_ + 1) * 3 > slots_.size() * 2) grow();
  Answer& slot = slots_[place_of(key)];
  if (slot.key == 0) {
    slot.key = key;
    ++size_;
  }
  return slot;
}

std::vector<Answer> Answers::sorted() const {
  std::vector<Answer> all;
  all.reserve(size_);
  std::copy_if(slots_.begin(), slots_.end(), std::back_inserter(all),
               [](const Answer& answer) { return answer.key != 0; });
  std::sort(all.begin(), all.end(), [](const Answer& a, const Answer& b) { return a.key < b.key; });
  return all;
}

void Answers::grow() {
  std::vector<Answer> old(slots_.empty() ? kSmallest : slots_.size() * 2);
  old.swap(slots_);
  for (const Answer& slot : old) {
    if (slot.key != 0) slots_[place_of(slot.key)] = slot;
  }
}

}  // namespace strongroom::keyserver
