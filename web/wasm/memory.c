#include "kernels.h"

extern unsigned char __heap_base;
static u32 top;

/* Bytes that stay until `release`; 0 where the memory cannot grow so far. */
EXPORT(allocate) u32 allocate(u32 bytes) {
    if (!top) top = ((u32)&__heap_base + 63) & ~63u;
    u32 place = top, end = place + ((bytes + 63) & ~63u);
    if (end < place) return 0;
    u32 pages = (end + 65535) >> 16, have = __builtin_wasm_memory_size(0);
    if (pages > have && __builtin_wasm_memory_grow(0, pages - have) == (u32)-1) return 0;
    top = end;
    return place;
}

/* All that was allocated after a mark, the place of an allocation, is free again. */
EXPORT(release) void release(u32 mark) { top = mark; }
