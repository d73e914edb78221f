"""The C library's memory allocator, told that training asks for the same large blocks again at every step.

By default glibc takes a block of more than 32 MiB from the kernel and hands it back when it is freed, so that every activation, at every step, is made of
fresh pages: each costs a page fault and 4 KiB of zeros. For a small convnet at batch 512 that was 12 000 faults a step, and a sixth of its time.

Source: mallopt(3), M_MMAP_MAX and M_TRIM_THRESHOLD.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""From malloc.h."""
LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for its next tensors; whether it could be told to.

    Only glibc on Linux is told; elsewhere nothing happens. Memory in use at the peak stays about the same, but it goes back to the system only when the
    process ends. No number that is computed changes.
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(M_MMAP_MAX, 0) and library.mallopt(M_TRIM_THRESHOLD, LARGEST))
