// Of the program itself, not of strongroom_app: it is for the allocator that the program is linked
// with.
#pragma once

namespace strongroom::app {

// From here on the heap grows by pages of 2 MiB where the kernel has some. A look-up goes to a
// dozen places of a heap of hundreds of MiB, and on a virtual machine finding the page of each
// costs more than reading it. Where there are none, nothing changes.
void grow_heap_by_huge_pages();

}  // namespace strongroom::app
