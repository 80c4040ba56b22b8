"""Turns references into images: one entry point, and the same limits, for every kind of URI."""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from PIL import Image
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from pipelines.config.inputs import FetchConfig
from pipelines.display import display_reference
from pipelines.failures import RowFailedError
from pipelines.fetch.cache import FetchCache
from pipelines.fetch.colour.convert import COLOUR_NOTE
from pipelines.fetch.data_uri import read_data_uri
from pipelines.fetch.deadline import Deadline, DeadlineExceededError
from pipelines.fetch.errors import TransientFetchError, fetch_failed, too_large
from pipelines.fetch.fetched import ABSENT, Fetched
from pipelines.fetch.http import HttpReader
from pipelines.fetch.image_decode import decode_image, prepare_pillow
from pipelines.fetch.local import LocalReader
from pipelines.fetch.objects import PROTOCOLS, ObjectReader
from pipelines.fetch.rights.policy import Asked, RightsPolicy
from pipelines.rows import Reference, ReferenceVersion
from pipelines.storage.filesystems import Options
from pipelines.storage.urls import is_uri, redact_uri

logger = logging.getLogger(__name__)

T = TypeVar("T")

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
        with_marks: bool = False,
    ) -> None:
        """Create a fetcher with an empty cache.

        Args:
            config: time-outs, limits and policy.
            options: fsspec options by protocol, secrets resolved.
            http: the reader of http(s) URIs; None for one that is created from `config`.
            with_marks: ask stores for the marks of objects, where `fingerprint` is `stat`; it takes
                one more request per object.
        """
        prepare_pillow()
        self._config = config
        self._notes = 0
        self._max_bytes = int(config.max_mb * 1e6)
        self._cache = FetchCache(int(config.cache_mb * 1e6))
        self._http = http or HttpReader(config)
        self._modes = config.fingerprints
        self._objects = ObjectReader(
            options or {},
            max_bytes=self._max_bytes,
            wants_stat=lambda scheme: with_marks and self._modes.mode(scheme) == "stat",
        )
        self._local = LocalReader(config)
        self._rights = RightsPolicy(config, self.read, self._local.exists)

    @property
    def cache_counts(self) -> CacheCounts:
        """The cache's counts so far."""
        return CacheCounts(self._cache.hits, self._cache.misses, self._cache.fetched_bytes)

    def fetch(
        self,
        reference: Reference,
        note: Callable[[ReferenceVersion], None] | None = None,
        keep: Callable[[bytes], None] | None = None,
        asked: Asked | None = None,
    ) -> Image.Image:
        """Return the image at a reference: loaded, in its own mode, upright if `exif_rotate`.

        Args:
            reference: a URI, an absolute path, a `data:` URI, or the file's own bytes.
            note: called with the version of the file; where `fingerprint` asks for it, also before
                an error.
            keep: called with the file, before it is decoded.
            asked: asks for licence and wish, and so for the policy `wishes`; None: the user has
                named this reference, and knows.

        Raises:
            RowFailedError: it is not available, or must not be used; names the failure code, the
                URI and the remedy.
        """
        fetched = self.permitted(reference, asked, note)
        if keep is not None:
            keep(fetched.data)
        image = decode_image(
            fetched,
            reference,
            max_megapixels=self._config.max_megapixels,
            exif_rotate=self._config.exif_rotate,
            colour=self._config.colour,
        )
        said = image.info.get(COLOUR_NOTE)
        if said and self._notes < _MOST_NOTES:
            self._notes += 1
            logger.warning("%s: %s", redact_uri(display_reference(reference)), said)
        return image

    def permitted(
        self,
        reference: Reference,
        asked: Asked | None,
        note: Callable[[ReferenceVersion], None] | None = None,
    ) -> Fetched:
        """Return the file at a reference, not decoded, if the policy `wishes` allows its use.

        Args:
            reference: see `fetch`.
            asked: see `fetch`.
            note: see `fetch`.

        Raises:
            RowFailedError: see `fetch`.
        """
        if asked is not None:
            self._rights.check_given(reference, asked)
        fetched = self.read(reference) if note is None else self._noted(reference, note)
        if asked is not None:
            self._rights.check_file(reference, fetched, asked)
        return fetched

    def read(self, reference: Reference) -> Fetched:
        """Return the file at a reference, not decoded; raises as `fetch` does."""
        if isinstance(reference, bytes):
            return self._inline(reference, reference)
        scheme = scheme_of(reference)
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

    def look(self, uri: str) -> str | None:
        """Return the marks of the file at a URI (`ReferenceVersion.stat`), without reading it.

        Returns:
            `ABSENT` if there is no file; None if the place gives no marks, or cannot be asked.
        """
        scheme = scheme_of(uri)
        is_web = scheme in ("http", "https")
        try:
            if scheme in ("", "file"):
                return self._local.look(uri)
            if is_web:
                return self._retried(uri, self._http.look)
            if scheme in PROTOCOLS and "::" not in uri:
                return self._retried(uri, self._objects.look)
        except RowFailedError as error:
            # A web server has many reasons for this code, so its reader knows better.
            is_absent = error.failure.code == "uri_not_found" and not is_web
            return ABSENT if is_absent else None
        return None

    def close(self) -> None:
        """Close the HTTP connections."""
        self._http.close()

    def _noted(self, reference: Reference, note: Callable[[ReferenceVersion], None]) -> Fetched:
        scheme = "data" if isinstance(reference, bytes) else scheme_of(reference)
        if scheme == "data":  # its hash is its name
            return self.read(reference)
        if self._modes.mode(scheme) == "uri":
            fetched = self.read(reference)
            note(ReferenceVersion(None, _sha256(fetched)))
            return fetched
        try:
            fetched = self.read(reference)
        except RowFailedError as error:
            if error.failure.code == "uri_not_found":
                note(ReferenceVersion(ABSENT, None))
            elif error.failure.code == "uri_too_large" and isinstance(reference, str):
                note(ReferenceVersion(self.look(reference), None))
            raise
        note(ReferenceVersion(fetched.stat, _sha256(fetched)))
        return fetched

    def _inline(self, data: bytes, reference: Reference) -> Fetched:
        if len(data) > self._max_bytes:
            raise too_large(reference, self._max_bytes)
        return Fetched(data)

    def _cached(self, uri: str, read: Callable[[str, Deadline], Fetched]) -> Fetched:
        return self._cache.get(uri, lambda: self._retried(uri, read))

    def _retried(self, uri: str, read: Callable[[str, Deadline], T]) -> T:
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


def _sha256(fetched: Fetched) -> str:
    return hashlib.sha256(fetched.data).hexdigest()


def _wait_s(state: RetryCallState) -> float:
    """Return the seconds before the next attempt: the server's, else exponential; jittered."""
    error = None if state.outcome is None else state.outcome.exception()
    asked = error.retry_after_s if isinstance(error, TransientFetchError) else None
    backoff: float = min(_FIRST_WAIT_S * _LONGER ** (state.attempt_number - 1), _LONGEST_WAIT_S)
    jittered = backoff * random.uniform(0.5, 1)  # noqa: S311 - no secret
    return jittered if asked is None else asked + jittered / 4


def scheme_of(uri: str) -> str:
    """Return the scheme in lower case; empty for a plain path."""
    return uri.partition(":")[0].lower() if is_uri(uri) else ""
