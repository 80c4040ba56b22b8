"""The marks of many S3 objects, from listings instead of one request per object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import strip_protocol

from pipelines.fetch.fetched import ABSENT
from pipelines.fetch.objects import object_marks
from pipelines.storage.faults import fault_of

UNLISTED = "unlisted"
"""In place of marks: ask for this object alone."""

_PAGE = 1000
_WORTH = 3  # objects that a page must have to be worth more than asking for each
_ALONE = 32


def listed_marks(fs: AbstractFileSystem, uris: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the URI of each object, and its marks, `ABSENT` or `UNLISTED`.

    Goes through the objects in the order of their keys, and lists from one to the next. Where they
    are far apart, or cannot be listed, they are `UNLISTED`. So there are fewer requests than
    objects, and at most one for each 1,000 objects that lie between them. Takes the memory of one
    page.

    Args:
        fs: an S3 filesystem.
        uris: URIs of objects of one bucket.
    """
    keys = {uri: strip_protocol(uri).partition("/")[2] for uri in uris}
    waiting = sorted(uris, key=keys.__getitem__, reverse=True)
    bucket = strip_protocol(uris[0]).partition("/")[0]
    prefix = _common_folder(keys[waiting[-1]], keys[waiting[0]])
    while waiting:
        first = keys[waiting[-1]]
        try:
            # Of the texts that come before a key, this one is surely near it.
            page = _page(fs, bucket, prefix, first[:-1])
        except Exception as error:
            if fault_of(error) is None:
                raise
            yield from ((uri, UNLISTED) for uri in reversed(waiting))
            return
        end = max(page) if len(page) >= _PAGE else None
        found = 0
        while waiting and (end is None or keys[waiting[-1]] <= end):
            uri = waiting.pop()
            yield uri, page.get(keys[uri], ABSENT)
            found += 1
        if end is not None and found < _WORTH:
            yield from ((waiting.pop(), UNLISTED) for _ in range(min(_ALONE, len(waiting))))


def _common_folder(first: str, last: str) -> str:
    """Return the folder of all keys from the first to the last, with a slash at its end."""
    folders = zip(first.split("/")[:-1], last.split("/")[:-1], strict=False)
    return "".join(f"{one}/" for one, _ in takewhile(lambda pair: pair[0] == pair[1], folders))


def _page(fs: AbstractFileSystem, bucket: str, prefix: str, after: str) -> Mapping[str, str | None]:
    """Return the marks of the first 1,000 objects after a key, by key."""
    options = {"StartAfter": after} if after > prefix else {}
    answer: dict[str, Any] = fs.call_s3(
        "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=_PAGE, **options
    )
    return {
        each["Key"]: object_marks({**each, "size": each["Size"]})
        for each in answer.get("Contents", [])
    }
