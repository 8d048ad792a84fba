"""What becomes of memory that was let go: kept for the next batch, not given back and asked for.

Of itself glibc returns each batch of 900 kB to the system and has it zeroed again for the next one,
a page fault for each of its pages.
"""

from __future__ import annotations

import ctypes

# mallopt(3), <malloc.h>; 32 MiB is the most that it takes for the second.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64 * 1024 * 1024
_LARGEST_FROM_HEAP_BYTES = 32 * 1024 * 1024


def keep_freed_memory() -> bool:
    """Tell the allocator; False where there is none that can be told (musl)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        mallopt(parameter, size)
        for parameter, size in (
            (_M_MMAP_THRESHOLD, _LARGEST_FROM_HEAP_BYTES),
            (_M_TRIM_THRESHOLD, _KEPT_BYTES),
        )
    )
