"""Checks one reference as a worker would use it, without a model."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pipelines.config.inputs import FetchConfig
from pipelines.failures import Failure, RowFailedError
from pipelines.fetch.fetcher import Fetcher
from pipelines.fetch.image_decode import inspect_image
from pipelines.fetch.rights.c2pa_wish import UNREAD
from pipelines.fetch.rights.policy import Asked
from pipelines.in_order import in_order
from pipelines.reference_facts import ReferenceRights
from pipelines.storage.filesystems import Options
from pipelines.tools.validation.checked import CHECKED_SCHEMA, Checked
from pipelines.tools.validation.uses import Use
from uso_core.errors import InvalidRequestError
from uso_core.model.sizes import Size, content_size, output_size
from uso_core.request import Limits

Placed: TypeAlias = tuple[int, Use]
"""A use, with its place among those of the manifest."""
_AHEAD = 16  # references in progress or finished but not yet reported, per thread
_DIGEST_BYTES = 16


class Checks(Protocol):
    """A way to check references: in threads of this process, or in tasks of a cluster."""

    def __call__(
        self, uses: Iterator[Placed], spec: CheckSpec
    ) -> Generator[Sequence[Checked], None, None]:
        """Yield the results of all uses, some at a time, in any order."""


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """The settings of a check.

    Attributes:
        config: time-outs, limits and policy.
        options: fsspec options by protocol, secrets resolved.
        limits: the limits of the model.
    """

    config: FetchConfig
    options: Options
    limits: Limits

    @property
    def context(self) -> str:
        """A hash of the settings that decide about results, and of their form, 16 hex digits."""
        policy = self.config.model_dump_json(exclude={"http", "concurrency", "cache_mb"})
        columns = ",".join(CHECKED_SCHEMA.names)
        return hashlib.sha256(f"{policy} {self.limits} {columns}".encode()).hexdigest()[:16]


class ReferenceCheck:
    """Fetches references and reads their images; safe to share between threads."""

    def __init__(self, spec: CheckSpec) -> None:
        # Every reference is fetched once, so a cache would only take memory.
        self._fetcher = Fetcher(spec.config.model_copy(update={"cache_mb": 0}), spec.options)
        self._config = spec.config
        self._limits = spec.limits

    def __call__(self, placed: Placed) -> Checked:
        """Check one reference; a fault is part of the result."""
        use, result = placed[1], _unchecked(placed)
        rights = [ReferenceRights()]
        try:
            asked = Asked(use.column, use.given, rights.append)
            fetched = self._fetcher.permitted(use.reference, asked)
            size, note = inspect_image(
                fetched,
                use.reference,
                max_megapixels=self._config.max_megapixels,
                exif_rotate=self._config.exif_rotate,
                colour=self._config.colour,
            )
        except RowFailedError as error:
            return _failed(result, error.failure)
        except Exception as error:  # noqa: BLE001 - a bug; the other references are still checked
            message = f"{use.shown}: {type(error).__name__}: {error}"
            return _failed(result, Failure("internal", message, use.shown))
        result = result._replace(
            note=note,
            width=size.width,
            height=size.height,
            num_bytes=len(fetched.data),
            digest=hashlib.sha256(fetched.data).digest()[:_DIGEST_BYTES],
            wish=None if rights[-1].wish == UNREAD else rights[-1].wish,
        )
        failure = self._misfit(use, size)
        return result if failure is None else _failed(result, failure)

    def close(self) -> None:
        """Close the HTTP connections."""
        self._fetcher.close()

    def _misfit(self, use: Use, size: Size) -> Failure | None:
        """Return the failure if a content image's size does not fit the first row that uses it."""
        if use.column != "content_image":
            return None
        try:
            content_size(size, use.parameters.content_long_size)
            output_size(use.parameters, size, self._limits)
        except InvalidRequestError as error:
            return Failure("invalid_request", str(error), use.shown)
        return None


def check_here(uses: Iterator[Placed], spec: CheckSpec) -> Generator[Sequence[Checked], None, None]:
    """Check references in `fetch.concurrency` threads of this process; see `Checks`."""
    with (
        closing(ReferenceCheck(spec)) as check,
        closing(check_with(check, uses, spec.config.concurrency)) as results,
    ):
        for result in results:
            yield [result]


def check_with(
    check: ReferenceCheck, uses: Iterator[Placed], threads: int
) -> Generator[Checked, None, None]:
    """Yield the result of each use, in their order, from several threads."""
    return in_order(check, uses, threads, budget=_AHEAD * threads, wait=False)


def lost(placed: Placed, reason: str) -> Checked:
    """Return the result of a reference whose check ended its process."""
    shown = placed[1].shown
    return _failed(_unchecked(placed), Failure("worker_lost", f"{shown}: {reason}", shown))


def _unchecked(placed: Placed) -> Checked:
    place, use = placed
    return Checked(place, use.mark, use.key, use.column, use.row_id, use.shown)


def _failed(result: Checked, failure: Failure) -> Checked:
    return result._replace(code=failure.code, message=failure.message, uri=failure.uri)
