"""Ends the process of a command without taking the interpreter down.

Arrow, Ray and event loops have threads of their own, and some of them hold Python objects a moment
longer than the command. A native thread that asks for the interpreter while that is taken down
aborts the process: the work is done, and the exit code says that it failed.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_FLUSH_FAILED = 120  # Python's own code for it


@contextmanager
def ended_at_once() -> Iterator[None]:
    """End the process with the exit code of the code inside, once its exit handlers have run.

    The code inside is the whole program: it ends by `SystemExit`, or by its last line. Python
    joins its threads and calls the exit handlers that were registered inside; then the process
    ends. After any other exception, Python ends it as usual.
    """
    codes: list[int] = []
    # Handlers run in reverse order: this one is the last, because it is registered first.
    atexit.register(_end, codes)
    try:
        yield
    except SystemExit as end:
        codes.append(_code(end))
        raise
    except BaseException:
        atexit.unregister(_end)
        raise
    codes.append(0)


def _code(end: SystemExit) -> int:
    if end.code is None:
        return 0
    return end.code if isinstance(end.code, int) else 1


def _end(codes: list[int]) -> None:
    (code,) = codes
    logging.shutdown()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # the reader of a pipe has gone
        code = code or _FLUSH_FAILED
    os._exit(code)
