"""Checks the references of a manifest: fetches, decodes and compares each distinct one once."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from pipelines.config.inputs import FetchConfig
from pipelines.display import display_reference
from pipelines.failures import Failure, RowFailedError
from pipelines.fetch.colour.convert import COLOUR_NOTE
from pipelines.fetch.fetcher import Fetcher
from pipelines.fetch.image_decode import decode_image
from pipelines.fetch.rights.policy import Asked
from pipelines.in_order import in_order
from pipelines.keys.distinct import DistinctCount
from pipelines.keys.index import row_key
from pipelines.manifest.ordinary import OrdinaryRows
from pipelines.reference_facts import ReferenceRights
from pipelines.rows import ManifestEntry, ManifestRow, Reference
from pipelines.storage.filesystems import Options
from pipelines.storage.urls import redact_uri
from pipelines.tools.problems import Problem
from uso_core.errors import InvalidRequestError
from uso_core.model.sizes import Size, content_size, output_size
from uso_core.request import Limits, Parameters

_COUNTED_AT_ONCE = 4096
_AHEAD = 16  # references in progress or finished but not yet reported, per thread


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


@dataclass(slots=True)
class Facts:
    """Facts about the images that could be read.

    Attributes:
        images: the number of images.
        num_bytes: the total size of their files.
        smallest: the size of the smallest image by area, in pixels; None if there is no image.
        largest: the size of the largest image by area, in pixels; None if there is no image.
    """

    images: int = 0
    num_bytes: int = 0
    smallest: Size | None = None
    largest: Size | None = None

    def add(self, size: Size, num_bytes: int) -> None:
        """Add one image."""
        self.images += 1
        self.num_bytes += num_bytes
        if self.smallest is None or size.width * size.height < _area(self.smallest):
            self.smallest = size
        if self.largest is None or size.width * size.height > _area(self.largest):
            self.largest = size


class DistinctReferences:
    """Counts the rows that use each reference; takes about 150 bytes per reference."""

    def __init__(self) -> None:
        self._rows: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: ManifestRow) -> None:
        """Add the references of a row."""
        for use in uses_of(row):
            key = _key(use.reference)
            self._rows[key] = self._rows.get(key, 0) + 1

    def rows(self, reference: Reference) -> int:
        """Return the number of rows that use a reference."""
        return self._rows[_key(reference)]

    def sample(self, most: int | None) -> set[bytes]:
        """Return the keys of at most `most` references (None for all), always the same ones."""
        if most is None:
            return set(self._rows)
        return set(heapq.nsmallest(most, self._rows))


class CountedReferences:
    """Counts the different references of rows; memory does not grow with them."""

    def __init__(self) -> None:
        self._texts = DistinctCount()
        self._waiting: list[str] = []

    def __len__(self) -> int:
        self._flush()
        return len(self._texts)

    def add(self, row: ManifestRow) -> None:
        """Add the references of a row."""
        self._waiting.extend(display_reference(use.reference) for use in uses_of(row))
        if len(self._waiting) >= _COUNTED_AT_ONCE:
            self._flush()

    def add_ordinary(self, rows: OrdinaryRows) -> None:
        """Add the references of ordinary rows."""
        is_encoded = pa.array(rows.numbers["content_long_size"] > 0)
        self._texts.add(rows.contents.filter(is_encoded))
        self._texts.add(rows.styles)

    def _flush(self) -> None:
        self._texts.add(pa.array(self._waiting, pa.string()))
        self._waiting = []


@dataclass(frozen=True, slots=True)
class _Checked:
    """One reference: the facts about its image, or the failure."""

    use: Use
    failure: Failure | None = None
    size: Size | None = None
    num_bytes: int = 0
    digest: bytes = b""
    note: str | None = None


class ReferenceCheck:
    """Fetches and decodes references as a worker would, several at a time, without a model.

    Attributes:
        facts: facts about the images read so far.
    """

    def __init__(self, config: FetchConfig, options: Options, limits: Limits) -> None:
        """Create a check that uses `fetch.concurrency` threads.

        Args:
            config: time-outs, limits and policy.
            options: fsspec options by protocol, secrets resolved.
            limits: the limits of the model.
        """
        # Every reference is fetched once, so a cache would only take memory.
        self._fetcher = Fetcher(config.model_copy(update={"cache_mb": 0}), options)
        self._config = config
        self._limits = limits
        self._first_with: dict[bytes, str] = {}
        self.facts = Facts()

    def check(
        self, entries: Iterable[ManifestEntry], known: DistinctReferences, wanted: set[bytes]
    ) -> Iterator[list[Problem]]:
        """Yield the problems of each wanted reference, if any, in the order of the manifest.

        Args:
            entries: the entries of the manifest.
            known: all references of the manifest.
            wanted: keys of the references to check; this empties it.
        """
        uses, threads = _first_uses(entries, wanted), self._config.concurrency
        results = in_order(self._check, uses, threads, budget=_AHEAD * threads, wait=False)
        with closing(self._fetcher), closing(results):
            for checked in results:
                yield self._problems(checked, known)

    def _check(self, use: Use) -> _Checked:
        try:
            asked = Asked(use.column, use.given, lambda _rights: None)
            fetched = self._fetcher.permitted(use.reference, asked)
            image = decode_image(
                fetched,
                use.reference,
                max_megapixels=self._config.max_megapixels,
                exif_rotate=self._config.exif_rotate,
                colour=self._config.colour,
            )
        except RowFailedError as error:
            return _Checked(use, error.failure)
        except Exception as error:  # noqa: BLE001 - a bug; the other references are still checked
            message = f"{_shown(use.reference)}: {type(error).__name__}: {error}"
            return _Checked(use, Failure("internal", message, _shown(use.reference)))
        size = Size(*image.size)
        digest = hashlib.sha256(fetched.data).digest()
        note = image.info.get(COLOUR_NOTE)
        return _Checked(use, self._misfit(use, size), size, len(fetched.data), digest, note)

    def _misfit(self, use: Use, size: Size) -> Failure | None:
        """Return the failure if a content image's size does not fit the first row that uses it."""
        if use.column != "content_image":
            return None
        try:
            content_size(size, use.parameters.content_long_size)
            output_size(use.parameters, size, self._limits)
        except InvalidRequestError as error:
            return Failure("invalid_request", str(error), _shown(use.reference))
        return None

    def _problems(self, checked: _Checked, known: DistinctReferences) -> list[Problem]:
        use, found = checked.use, []
        rows = known.rows(use.reference)
        if checked.failure is not None:
            failure = checked.failure
            shown = failure.uri or _shown(use.reference)
            found.append(
                Problem(failure.code, use.column, use.row_id, rows, failure.message, shown)
            )
        if checked.note is not None:
            shown = _shown(use.reference)
            message = f"{shown}: {checked.note}"
            found.append(
                Problem("colour_profile", use.column, use.row_id, rows, message, shown, "note")
            )
        if checked.size is not None:
            self.facts.add(checked.size, checked.num_bytes)
            shown = _shown(use.reference)
            first = self._first_with.setdefault(checked.digest, shown)
            if first != shown:
                message = f"{shown}: the same file as {first}"
                found.append(
                    Problem("duplicate_image", use.column, use.row_id, rows, message, shown, "note")
                )
        return found


def uses_of(row: ManifestRow) -> Iterator[Use]:
    """Yield the references that a worker would fetch for a row."""
    numbers = row.parameters
    given = row.given_rights or (ReferenceRights(),) * row.num_references
    if row.content_image is not None and numbers.content_long_size:
        yield Use(row.content_image, "content_image", row.id, numbers, given[0])
    of_styles = given[len(given) - len(row.style_images) :]
    for style, stated in zip(row.style_images, of_styles, strict=True):
        yield Use(style, "style_images", row.id, numbers, stated)


def _first_uses(entries: Iterable[ManifestEntry], wanted: set[bytes]) -> Iterator[Use]:
    for entry in entries:
        if not wanted:
            return
        if not isinstance(entry.row, ManifestRow):
            continue
        for use in uses_of(entry.row):
            key = _key(use.reference)
            if key in wanted:
                wanted.remove(key)
                yield use


def _key(reference: Reference) -> bytes:
    """Return a key of the fetched URI, including its signature."""
    return row_key(reference if isinstance(reference, str) else display_reference(reference))


def _shown(reference: Reference) -> str:
    return redact_uri(display_reference(reference))


def _area(size: Size) -> int:
    return size.width * size.height
