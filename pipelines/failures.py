"""Failure codes of rows: a closed set, each with its stage and whether a retry can help.

Three kinds of error stay apart: a bad row becomes a `Failure` in its record; a bug raises; a lost
GPU ends its process, which Ray replaces. `RowFailedError` carries a failure from the place that
detects it to the place that builds the row's outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

FailureCode = Literal[
    "invalid_request",
    "uri_not_found",
    "uri_forbidden",
    "uri_timeout",
    "uri_refused",
    "uri_too_large",
    "image_corrupt",
    "image_too_large",
    "image_unsupported",
    "out_of_memory",
    "unsafe_content",
    "worker_lost",
    "signing_failed",
    "storage_write",
    "internal",
]
Stage = Literal["manifest", "fetch", "inference", "store", "worker"]


class CodeFacts(NamedTuple):
    """The facts that every failure with one code shares."""

    stage: Stage
    retryable: bool
    meaning: str


CODES: dict[FailureCode, CodeFacts] = {
    "invalid_request": CodeFacts("manifest", False, "the row is invalid"),
    "uri_not_found": CodeFacts("fetch", False, "nothing exists at the URI"),
    "uri_forbidden": CodeFacts("fetch", False, "the store denies access to the URI"),
    "uri_timeout": CodeFacts("fetch", True, "the fetch timed out, or every attempt failed"),
    "uri_refused": CodeFacts("fetch", False, "the run's policy does not allow fetching the URI"),
    "uri_too_large": CodeFacts("fetch", False, "the file is larger than fetch.max_mb"),
    "image_corrupt": CodeFacts("fetch", False, "the image is damaged or incomplete"),
    "image_too_large": CodeFacts("fetch", False, "the image is larger than fetch.max_megapixels"),
    "image_unsupported": CodeFacts("fetch", False, "the file is not in a supported image format"),
    "out_of_memory": CodeFacts("inference", True, "the device ran out of memory on this row"),
    "unsafe_content": CodeFacts("inference", False, "the safety check withheld an image"),
    "worker_lost": CodeFacts("worker", True, "the worker died or hung while running only this row"),
    "signing_failed": CodeFacts("store", True, "an image could not be signed"),
    "storage_write": CodeFacts("store", True, "an image could not be stored"),
    "internal": CodeFacts("worker", True, "a bug: please report it with the worker's log"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason that a row failed.

    Attributes:
        code: one of `CODES`.
        message: the problem, where it is, and the remedy; without credentials.
        uri: the reference concerned, without credentials; None if it concerns no reference.
    """

    code: FailureCode
    message: str
    uri: str | None = None

    @property
    def stage(self) -> Stage:
        """The stage that detected the failure."""
        return CODES[self.code].stage

    @property
    def retryable(self) -> bool:
        """True if a retry of the same row can succeed."""
        return CODES[self.code].retryable


class RowFailedError(Exception):
    """Ends the work on one row; `failure` goes into the row's record."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure

    def __str__(self) -> str:
        return f"{self.failure.code}: {self.failure.message}"
