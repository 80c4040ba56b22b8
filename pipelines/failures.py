"""Why a row failed: a closed set of codes, each with its stage and whether trying again can help.

Three lanes, kept apart: a bad row becomes a `Failure` in its record; a bug raises; a lost GPU ends
its process, so that Ray replaces it. `RowFailedError` carries a failure from where it is noticed to
where the row's outcome is made.
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
    "worker_lost",
    "storage_write",
    "internal",
]
Stage = Literal["manifest", "fetch", "inference", "store", "worker"]


class CodeFacts(NamedTuple):
    """What is true of every failure with a code."""

    stage: Stage
    retryable: bool
    meaning: str


CODES: dict[FailureCode, CodeFacts] = {
    "invalid_request": CodeFacts("manifest", False, "the row asks for what is not accepted"),
    "uri_not_found": CodeFacts("fetch", False, "nothing exists at the URI"),
    "uri_forbidden": CodeFacts("fetch", False, "the store denies access to the URI"),
    "uri_timeout": CodeFacts("fetch", True, "the URI did not answer in time, or kept failing"),
    "uri_refused": CodeFacts("fetch", False, "the run's policy does not allow fetching the URI"),
    "uri_too_large": CodeFacts("fetch", False, "the file is larger than fetch.max_mb"),
    "image_corrupt": CodeFacts("fetch", False, "the bytes are not a whole image"),
    "image_too_large": CodeFacts("fetch", False, "the image has more than fetch.max_megapixels"),
    "image_unsupported": CodeFacts("fetch", False, "the bytes are of a format that is not read"),
    "out_of_memory": CodeFacts("inference", True, "the device ran out of memory on this row"),
    "worker_lost": CodeFacts("worker", True, "the worker process died, or hung, on this row alone"),
    "storage_write": CodeFacts("store", True, "an image could not be written"),
    "internal": CodeFacts("worker", True, "a bug: please report it with the worker's log"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a row failed.

    Attributes:
        code: one of `CODES`.
        message: what is wrong, where, and what to do; no credentials.
        uri: the reference concerned, without credentials; None where it is not about one.
    """

    code: FailureCode
    message: str
    uri: str | None = None

    @property
    def stage(self) -> Stage:
        """Where in a row's way the failure was noticed."""
        return CODES[self.code].stage

    @property
    def retryable(self) -> bool:
        """Whether the same row may well succeed when it is tried again."""
        return CODES[self.code].retryable


class RowFailedError(Exception):
    """Ends the work on one row; the row's record carries `failure`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure

    def __str__(self) -> str:
        return f"{self.failure.code}: {self.failure.message}"
