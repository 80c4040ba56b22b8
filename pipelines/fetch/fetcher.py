"""Turns references into images: one entry point, and the same limits, for every kind of URI."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from pipelines.config.inputs import FetchConfig
from pipelines.display import display_reference
from pipelines.fetch.cache import FetchCache
from pipelines.fetch.colour.convert import COLOUR_NOTE
from pipelines.fetch.data_uri import read_data_uri
from pipelines.fetch.deadline import Deadline, DeadlineExceededError
from pipelines.fetch.errors import TransientFetchError, fetch_failed, too_large
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.http import HttpReader
from pipelines.fetch.image_decode import decode_image, prepare_pillow
from pipelines.fetch.local import LocalReader
from pipelines.fetch.objects import PROTOCOLS, ObjectReader
from pipelines.rows import Reference
from pipelines.storage.filesystems import Options
from pipelines.storage.urls import is_uri, redact_uri

logger = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.25
_LONGER = 4  # so that the usual four attempts outlast some seconds of trouble
_LONGEST_WAIT_S = 8.0
_MOST_NOTES = 20  # in the log of one process


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """Lookups in the cache so far, and the bytes fetched for the misses.

    Only files that come over the network are cached.
    """

    hits: int
    misses: int
    fetched_bytes: int


class Fetcher:
    """Fetches and decodes references; safe to share between threads.

    Memory: `cache_mb` for cached files, and for each fetch in progress its file twice (up to
    `max_mb`) and its image (up to `max_megapixels`): up to 16 bytes per pixel while it is decoded,
    then 1 to 4.
    """

    def __init__(
        self,
        config: FetchConfig,
        options: Options | None = None,
        *,
        http: HttpReader | None = None,
    ) -> None:
        """Create a fetcher with an empty cache.

        Args:
            config: time-outs, limits and policy.
            options: fsspec options by protocol, secrets resolved.
            http: the reader of http(s) URIs; None for one that is created from `config`.
        """
        prepare_pillow()
        self._config = config
        self._notes = 0
        self._max_bytes = int(config.max_mb * 1e6)
        self._cache = FetchCache(int(config.cache_mb * 1e6))
        self._http = http or HttpReader(config)
        self._objects = ObjectReader(options or {}, max_bytes=self._max_bytes)
        self._local = LocalReader(config)

    @property
    def cache_counts(self) -> CacheCounts:
        """The cache's counts so far."""
        return CacheCounts(self._cache.hits, self._cache.misses, self._cache.fetched_bytes)

    def fetch(self, reference: Reference) -> Image.Image:
        """Return the image at a reference: loaded, in its own mode, upright if `exif_rotate`.

        Args:
            reference: a URI, an absolute path, a `data:` URI, or the file's own bytes.

        Raises:
            RowFailedError: it is not available; names the failure code, the URI and the remedy.
        """
        image = decode_image(
            self.read(reference),
            reference,
            max_megapixels=self._config.max_megapixels,
            exif_rotate=self._config.exif_rotate,
            colour=self._config.colour,
        )
        note = image.info.get(COLOUR_NOTE)
        if note and self._notes < _MOST_NOTES:
            self._notes += 1
            logger.warning("%s: %s", redact_uri(display_reference(reference)), note)
        return image

    def read(self, reference: Reference) -> Fetched:
        """Return the file at a reference, not decoded; raises as `fetch` does."""
        if isinstance(reference, bytes):
            return self._inline(reference, reference)
        scheme = _scheme(reference)
        if scheme == "data":
            return self._inline(read_data_uri(reference, self._max_bytes), reference)
        if scheme in ("", "file"):
            return self._local.read(reference)
        if scheme in ("http", "https"):
            return self._cached(reference, self._http.read)
        if "::" in reference:
            raise fetch_failed("uri_refused", reference, "chained URIs (::) are not supported")
        if scheme in PROTOCOLS:
            return self._cached(reference, self._objects.read)
        known = ", ".join(sorted({"file", "http", "https", "data", *PROTOCOLS}))
        raise fetch_failed(
            "uri_refused", reference, f"the scheme {scheme}: is not supported; use one of {known}"
        )

    def close(self) -> None:
        """Close the HTTP connections."""
        self._http.close()

    def _inline(self, data: bytes, reference: Reference) -> Fetched:
        if len(data) > self._max_bytes:
            raise too_large(reference, self._max_bytes)
        return Fetched(data)

    def _cached(self, uri: str, read: Callable[[str, Deadline], Fetched]) -> Fetched:
        return self._cache.get(uri, lambda: self._retried(uri, read))

    def _retried(self, uri: str, read: Callable[[str, Deadline], Fetched]) -> Fetched:
        """Retry up to `attempts` times, as long as an attempt can start within `timeout_s`."""
        deadline = Deadline.after(self._config.timeout_s)
        attempts = stop_after_attempt(self._config.attempts)
        retrying = Retrying(
            stop=lambda state: attempts(state) or state.upcoming_sleep >= deadline.remaining,
            wait=_wait_s,
            retry=retry_if_exception_type(TransientFetchError),
            reraise=True,
        )
        try:
            return retrying(read, uri, deadline)
        except TransientFetchError as error:
            tried = retrying.statistics["attempt_number"]
            reason = (
                f"{error.reason} (tried {tried} times, of fetch.attempts {self._config.attempts}, "
                f"within fetch.timeout_s {self._config.timeout_s:g})"
            )
            raise fetch_failed("uri_timeout", uri, reason) from error
        except DeadlineExceededError as error:
            reason = f"no response within {self._config.timeout_s:g} s (fetch.timeout_s)"
            raise fetch_failed("uri_timeout", uri, reason) from error


def _wait_s(state: RetryCallState) -> float:
    """Return the seconds before the next attempt: the server's, else exponential; jittered."""
    error = None if state.outcome is None else state.outcome.exception()
    asked = error.retry_after_s if isinstance(error, TransientFetchError) else None
    backoff: float = min(_FIRST_WAIT_S * _LONGER ** (state.attempt_number - 1), _LONGEST_WAIT_S)
    jittered = backoff * random.uniform(0.5, 1)  # noqa: S311 - no secret
    return jittered if asked is None else asked + jittered / 4


def _scheme(uri: str) -> str:
    """Return the scheme in lower case; empty for a plain path."""
    return uri.partition(":")[0].lower() if is_uri(uri) else ""
