"""The marks of many references as they are now: sizes, times, ETags."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from urllib.parse import urlsplit

from pipelines.checks.s3_marks import UNLISTED, listed_marks
from pipelines.errors import StorageError
from pipelines.fetch.fetcher import Fetcher, scheme_of
from pipelines.in_order import in_order
from pipelines.storage.filesystems import Options, open_filesystem

_THREADS = 16
_LOCAL_AT_ONCE = 256
_LISTED_AT_ONCE = 4096
_MOST_FAILURES = 8

Marks = tuple[str, str | None]
"""A URI, and its marks as `Fetcher.look` returns them."""


class CurrentMarks:
    """Looks at many references, several at a time.

    Local files take one system call each. S3 objects are listed. Other references take one request
    each; a server that fails to answer several times in a row is not asked again.
    """

    def __init__(self, fetcher: Fetcher, options: Options) -> None:
        """Look through `fetcher`, and list with these fsspec options, secrets resolved."""
        self._fetcher = fetcher
        self._options = options
        self._failures: Counter[str] = Counter()
        self._unlistable: set[str] = set()
        self._lock = threading.Lock()

    def of(self, uris: Sequence[str], show: Callable[[int], None]) -> Iterator[Marks]:
        """Yield the marks of each reference, in any order.

        Args:
            uris: sorted URIs, so that those of a bucket are together.
            show: called with the number of references done.
        """
        done = 0
        for found in in_order(lambda work: work(), self._works(uris), _THREADS):
            yield from found
            done += len(found)
            show(done)

    def _works(self, uris: Sequence[str]) -> Iterator[Callable[[], list[Marks]]]:
        local: list[str] = []
        by_bucket: dict[str, list[str]] = {}
        others: list[str] = []
        for uri in uris:
            scheme = scheme_of(uri)
            if scheme in ("", "file"):
                local.append(uri)
            elif scheme in ("s3", "s3a"):
                by_bucket.setdefault(urlsplit(uri).netloc, []).append(uri)
            else:
                others.append(uri)
        for some in _cut(local, _LOCAL_AT_ONCE):
            yield partial(self._looked, some)
        for uri in others:
            yield partial(self._asked_alone, uri)
        for bucket in by_bucket.values():
            for some in _cut(bucket, _LISTED_AT_ONCE):
                yield partial(self._listed, some)

    def _looked(self, uris: Sequence[str]) -> list[Marks]:
        return [(uri, self._fetcher.look(uri)) for uri in uris]

    def _asked_alone(self, uri: str) -> list[Marks]:
        return [(uri, self._asked(uri))]

    def _listed(self, uris: Sequence[str]) -> list[Marks]:
        bucket = urlsplit(uris[0]).netloc
        if bucket in self._unlistable:
            return [(uri, self._asked(uri)) for uri in uris]
        try:
            fs, _ = open_filesystem(uris[0], self._options)
        except StorageError:
            return [(uri, None) for uri in uris]
        marked = list(listed_marks(fs, uris))
        if all(marks is UNLISTED for _, marks in marked):
            self._unlistable.add(bucket)
        return [(uri, self._asked(uri) if marks is UNLISTED else marks) for uri, marks in marked]

    def _asked(self, uri: str) -> str | None:
        host = urlsplit(uri).netloc
        with self._lock:
            if self._failures[host] >= _MOST_FAILURES:
                return None
        marks = self._fetcher.look(uri)
        with self._lock:
            self._failures[host] = self._failures[host] + 1 if marks is None else 0
        return marks


def _cut(items: Iterable[str], size: int) -> Iterator[list[str]]:
    left = iter(items)
    while some := list(islice(left, size)):
        yield some
