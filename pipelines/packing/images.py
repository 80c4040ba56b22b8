"""The images of a shard, in order: read from the output, and compared with their records."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Sequence
from itertools import islice
from typing import TypeAlias

from pipelines.checks.images import Fault, LostImage
from pipelines.errors import StorageError
from pipelines.in_order import in_order
from pipelines.packing.samples import ImageFile
from pipelines.storage.storage import Storage

Found: TypeAlias = "bytes | LostImage"

_READERS = 8
_SLOW_S = 0.0005  # the handing over between threads takes a tenth of it
_SLOW_IN_A_ROW = 2  # one alone may be the machine's other work
_AHEAD = 256


def read_images(output: Storage, files: Sequence[ImageFile]) -> Generator[Found, None, None]:
    """Yield the content of each image, or how it is lost.

    Threads read ahead of the caller from a store. On a local disk they do so where reads wait, or
    are long: a small file that the system has in memory takes less time than its way to a thread.

    Raises:
        StorageError: an image cannot be read.
    """
    read = _reader(output)
    if not output.is_local:
        yield from in_order(read, files, _READERS)
        return
    rest, slow = iter(files), 0
    for file in rest:
        began = time.monotonic()
        found = read(file)
        slow = slow + 1 if time.monotonic() - began > _SLOW_S else 0
        yield found
        if slow == _SLOW_IN_A_ROW:
            yield from in_order(read, islice(rest, _AHEAD), _READERS)
            slow = 0


def _reader(output: Storage) -> Callable[[ImageFile], Found]:
    def read(file: ImageFile) -> Found:
        try:
            data = output.read(file.path)
        except StorageError as error:
            if error.fault == "not_found":
                return LostImage(file.row_id, output.uri(file.path), "is missing")
            raise
        if hashlib.sha256(data).hexdigest() == file.sha256:
            return data
        fault: Fault = "is not the recorded file" if data else "is empty"
        return LostImage(file.row_id, output.uri(file.path), fault)

    return read
