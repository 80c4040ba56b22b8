"""Keeps the driver's memory at what it uses: for a process that runs for days."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of glibc's malloc.h
_MAPPED_FROM_BYTES = 256 * 1024
_ARENAS = 2


def keep_heap_compact() -> None:
    """Let large buffers go back to the system as soon as they are freed; for the whole process.

    Commits, compactions and growing indexes allocate and free arrays of many sizes from several
    threads. By default the holes that they leave stay with the process, about 0.3 kB for each row
    of a run: in glibc, which learns to keep buffers of up to 32 MB in its heaps, one for each
    thread, and in the mimalloc that Arrow brings along. Call it first of all, where the process is
    the driver's own; nothing is done where the C library is not glibc.

    Raises:
        RuntimeError: pyarrow has been imported already, and with it its allocator chosen.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    if "pyarrow" in sys.modules:
        raise RuntimeError("keep_heap_compact must be called before pyarrow is imported")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
    libc.mallopt(_M_ARENA_MAX, _ARENAS)
