#include "strongroom/app/huge_pages.h"

#include <gperftools/malloc_extension.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace strongroom::app {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kRegion = size_t{32} << 20;  // Address space; memory only as it is touched.

size_t round_up(size_t size, size_t to) {
  return (size + to - 1) / to * to;
}

// Called under the allocator's lock: allocates nothing itself.
class HugePages : public SysAllocator {
 public:
  explicit HugePages(SysAllocator* otherwise) : otherwise_(otherwise) {}

  void* Alloc(size_t size, size_t* actual, size_t alignment) override {
    const size_t whole = round_up(size, kHugePage);
    if (whole < size || alignment > kHugePage || !reserve(whole)) {
      return otherwise_->Alloc(size, actual, alignment);
    }
    void* const out = next_;
    next_ += whole;
    left_ -= whole;
    if (actual != nullptr) *actual = whole;
    return out;
  }

 private:
  bool reserve(size_t size) {
    if (size <= left_) return true;
    const size_t region = round_up(size, kRegion);
    const size_t mapped = region + kHugePage;
    if (mapped < size) return false;
    void* const at = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return false;
    const size_t skipped =
        round_up(reinterpret_cast<uintptr_t>(at), kHugePage) - reinterpret_cast<uintptr_t>(at);
    next_ = static_cast<char*>(at) + skipped;
    left_ = region;
    madvise(next_, region, MADV_HUGEPAGE);  // Best effort.
    return true;
  }

  SysAllocator* const otherwise_;
  char* next_ = nullptr;
  size_t left_ = 0;
};

}  // namespace

void grow_heap_by_huge_pages() {
  MallocExtension* const heap = MallocExtension::instance();
  // Never destroyed: the heap outlives everything.
  alignas(HugePages) static char place[sizeof(HugePages)];
  heap->SetSystemAllocator(new (place) HugePages(heap->GetSystemAllocator()));
}

}  // namespace strongroom::app
