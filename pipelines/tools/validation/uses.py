"""The references of a manifest as they are checked: each different one once, with its first row."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pipelines.display import display_reference
from pipelines.keys.index import KEY_BYTES, LsmTable, row_key
from pipelines.reference_facts import ReferenceRights
from pipelines.rows import ManifestRow, Reference
from pipelines.storage.urls import redact_uri
from uso_core.request import Parameters

if TYPE_CHECKING:  # tasks of a cluster read no manifest
    from pipelines.manifest.manifest import Batch, Manifest


@dataclass(frozen=True, slots=True)
class Use:
    """One reference in one row.

    Attributes:
        reference: the reference.
        column: `content_image` or `style_images`.
        row_id: the id of the row.
        parameters: the parameters of the row.
        given: licence and wish as the manifest states them.
    """

    reference: Reference
    column: str
    row_id: str
    parameters: Parameters
    given: ReferenceRights

    @property
    def key(self) -> bytes:
        """The key of the fetched URI, including its signature, 16 bytes.

        A use whose row states a wish has another key than one without, as a run may refuse it.
        """
        wish = self.given.wish
        return row_key(
            _text(self.reference) if wish is None else f"{wish}\0{_text(self.reference)}"
        )

    @property
    def mark(self) -> bytes:
        """A hash of all that a check reads of the use, 16 bytes."""
        sizes = self.parameters
        read = (
            _text(self.reference),
            self.column,
            self.row_id,
            (sizes.width, sizes.height, sizes.keep_size, sizes.content_long_size),
            tuple(self.given),
        )
        return blake2b(repr(read).encode(), digest_size=KEY_BYTES).digest()

    @property
    def shown(self) -> str:
        """The reference for messages, without credentials."""
        return redact_uri(display_reference(self.reference))


class Wanted(Protocol):
    """The references to check."""

    def first_uses(self) -> Iterator[list[Use]]:
        """Yield the first use of each reference, some at a time, in the order of the manifest.

        Raises:
            ManifestError: a file has changed or is damaged.
        """

    def rows(self, key: bytes) -> int:
        """Return how often rows use a reference that was yielded; final after the last one."""


class AllReferences:
    """All references of a manifest; takes about 20 bytes for each."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._rows = LsmTable(np.uint32)

    def first_uses(self) -> Iterator[list[Use]]:
        """See `Wanted`."""
        for batch in self._manifest.batches():
            yield self._new(list(_uses_in(batch)))

    def rows(self, key: bytes) -> int:
        """See `Wanted`."""
        _, rows = self._rows.get([key])
        return int(rows[0])

    def _new(self, uses: Sequence[Use]) -> list[Use]:
        keys = [use.key for use in uses]
        counts = Counter(keys)
        known, rows = self._rows.get(list(counts))
        self._rows.put(list(counts), rows + np.fromiter(counts.values(), np.uint32, len(counts)))
        new = {key for key, is_known in zip(counts, known.tolist(), strict=True) if not is_known}
        return list(_first_of(zip(keys, uses, strict=True), new))


class SampledReferences:
    """Some references of a manifest: always the same ones, and all if there are no more.

    Args:
        manifest: the manifest, which is read at once.
        most: the number of references.
    """

    def __init__(self, manifest: Manifest, most: int) -> None:
        self._manifest = manifest
        self._rows: dict[bytes, int] = {}
        largest: list[int] = []  # a heap of the keys, negative
        for batch in manifest.batches():
            for use in _uses_in(batch):
                key = use.key
                if key in self._rows:
                    self._rows[key] += 1
                    continue
                number = -int.from_bytes(key, "big")
                if len(largest) < most:
                    heapq.heappush(largest, number)
                elif number > largest[0]:
                    # A key that is dropped never comes back, so the counts are of all rows.
                    dropped = -heapq.heappushpop(largest, number)
                    del self._rows[dropped.to_bytes(KEY_BYTES, "big")]
                else:
                    continue
                self._rows[key] = 1

    def __len__(self) -> int:
        return len(self._rows)

    def first_uses(self) -> Iterator[list[Use]]:
        """See `Wanted`."""
        missing = set(self._rows)
        for batch in self._manifest.batches():
            if not missing:
                return
            yield list(_first_of(((use.key, use) for use in _uses_in(batch)), missing))

    def rows(self, key: bytes) -> int:
        """See `Wanted`."""
        return self._rows[key]


def uses_of(row: ManifestRow) -> Iterator[Use]:
    """Yield the references that a worker would fetch for a row."""
    numbers = row.parameters
    given = row.given_rights or (ReferenceRights(),) * row.num_references
    if row.content_image is not None and numbers.content_long_size:
        yield Use(row.content_image, "content_image", row.id, numbers, given[0])
    of_styles = given[len(given) - len(row.style_images) :]
    for style, stated in zip(row.style_images, of_styles, strict=True):
        yield Use(style, "style_images", row.id, numbers, stated)


def _uses_in(batch: Batch) -> Iterator[Use]:
    for entry in batch.entries:
        if isinstance(entry.row, ManifestRow):
            yield from uses_of(entry.row)


def _first_of(uses: Iterable[tuple[bytes, Use]], missing: set[bytes]) -> Iterator[Use]:
    """Yield the first use of each missing key, and take the key out."""
    for key, use in uses:
        if key in missing:
            missing.remove(key)
            yield use


def _text(reference: Reference) -> str:
    return reference if isinstance(reference, str) else display_reference(reference)
