"""What a reader brings back, and the cap on its size."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.failures import RowFailedError
from pipelines.fetch.errors import fetch_failed
from pipelines.rows import Reference


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of one reference.

    Attributes:
        data: as they came, at most `fetch.max_mb`.
        content_type: what the server called them; None where nobody said.
    """

    data: bytes
    content_type: str | None = None


def too_large(reference: Reference, max_bytes: int) -> RowFailedError:
    """The error for a file beyond the cap."""
    return fetch_failed(
        "uri_too_large", reference, f"the file is larger than {max_bytes / 1e6:g} MB (fetch.max_mb)"
    )
