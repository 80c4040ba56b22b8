"""Keeps the driver's memory at what it uses: for a process that runs for days."""

from __future__ import annotations

import ctypes
import platform

import pyarrow as pa

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of glibc's malloc.h
_MAPPED_FROM_BYTES = 256 * 1024
_ARENAS = 2


def keep_heap_compact() -> None:
    """Let large buffers go back to the system as soon as they are freed.

    Commits, compactions and growing indexes allocate and free arrays of many sizes from several
    threads. glibc by default raises the size from which it maps memory for one buffer alone, up to
    32 MB, and gives each thread a heap of its own; with both, the holes that such arrays leave grew
    by about 0.2 kB for each row. It concerns the whole process, so call it where the process is the
    driver's own, before threads are started. Does nothing where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
    libc.mallopt(_M_ARENA_MAX, _ARENAS)
    pa.set_memory_pool(pa.system_memory_pool())
