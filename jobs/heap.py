"""Memory of a process of our own: near what it uses, and not searched too often."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_MAPPED_FROM_BYTES = 256 * 1024
_MOST_MAPPED_FROM_BYTES = 32 * 2**20
_KEPT_BYTES = 256 * 2**20
_ARENAS = 2


_NEW_OBJECTS, _COLLECTIONS = 20_000, 20


def collect_seldom() -> None:
    """Look for garbage in cycles after 20,000 new objects, not 700.

    A driver makes some hundred objects for each row. They live until their records are committed,
    and none is in a cycle. Looking through them took a third of the time for a row.
    """
    gc.set_threshold(_NEW_OBJECTS, _COLLECTIONS, _COLLECTIONS)


def keep_heap_compact() -> None:
    """Return large buffers to the system as soon as they are freed, in the whole process.

    Commits, compactions and growing indexes allocate and free arrays of many sizes in several
    threads. By default the process keeps the holes that they leave, about 0.3 kB per row of a run:
    glibc learns to keep buffers of up to 32 MB in its heaps, one heap per thread, and so does the
    mimalloc that Arrow ships with. Call this function first, in a process of the driver's own. It
    does nothing if the C library is not glibc.

    Raises:
        RuntimeError: pyarrow is imported already, so it has chosen its allocator.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    if "pyarrow" in sys.modules:
        raise RuntimeError("keep_heap_compact must be called before pyarrow is imported")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
    libc.mallopt(_M_ARENA_MAX, _ARENAS)


def keep_freed_buffers() -> None:
    """Undo a part of `keep_heap_compact`: keep up to 256 MB that are freed for the next buffers.

    For work that allocates buffers of the same sizes again and again, such as packing. The system
    clears each page that it gives, which took half of the time for a Parquet shard.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, _MOST_MAPPED_FROM_BYTES)
    libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
