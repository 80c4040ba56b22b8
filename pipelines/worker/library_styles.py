"""Styles of the library in a worker: each is read once, for all rows."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from pipelines.errors import StorageError, StyleError
from pipelines.failures import Failure, FailureCode, RowFailedError
from pipelines.reference_facts import LibraryStyle
from pipelines.styles.library import StyleLibrary
from pipelines.styles.style_file import StyleFileError, style_in

if TYPE_CHECKING:
    from uso_core.request import EncodedStyle

_MOST_BYTES = 256 * 2**20
REPLACED = "another style has its name"
"""Says in a message that a style was replaced, which a replay tells apart from one that is gone."""


class LibraryStyles:
    """Reads styles; safe to share between threads.

    Memory: up to 256 MiB of tokens; a style of FLUX.1-dev has 1.2 MB in bfloat16.
    """

    def __init__(
        self, library: str | None, storage: Mapping[str, Mapping[str, Any]], patience_s: float
    ) -> None:
        """Name the library; nothing is contacted yet.

        Args:
            library: its folder or URL; None: there is none, and rows name no styles.
            storage: fsspec options by protocol, secrets resolved.
            patience_s: seconds for which faults that may pass are waited out.
        """
        self._library = (
            None if library is None else StyleLibrary(library, storage, patience_s=patience_s)
        )
        self._lock = threading.Lock()
        self._kept: LRUCache[str, EncodedStyle] = LRUCache(
            _MOST_BYTES, getsizeof=lambda style: style.tokens.nbytes
        )

    def encoded(self, styles: Sequence[LibraryStyle]) -> list[EncodedStyle]:
        """Return the styles of a row.

        Raises:
            RowFailedError: a style is gone, damaged, or another one since the row was read.
        """
        # One thread reads at a time, so that threads that want the same style read it once.
        with self._lock:
            return [self._encoded(style) for style in styles]

    def _encoded(self, style: LibraryStyle) -> EncodedStyle:
        kept = self._kept.get(style.sha256)
        if kept is not None:
            return kept
        found = self._read(style)
        if found.tokens.nbytes <= self._kept.maxsize:
            self._kept[style.sha256] = found
        return found

    def _read(self, style: LibraryStyle) -> EncodedStyle:
        if self._library is None:
            reason = "this worker has no library of styles; set manifest.style_library"
            raise RowFailedError(Failure("uri_refused", f"style {style.name!r}: {reason}"))
        uri = self._library.file_uri(style.name)
        try:
            found = style_in(self._library.read(style.name))
        except StyleError as error:
            raise _failed("uri_not_found", style, uri, error.reason) from error
        except StyleFileError as error:
            raise _failed("image_corrupt", style, uri, str(error)) from error
        except StorageError as error:
            code: FailureCode = "uri_timeout" if error.fault == "unavailable" else "uri_forbidden"
            raise _failed(code, style, uri, error.reason) from error
        if found.sha256 != style.sha256:
            reason = f"{REPLACED} since the run read its row; run the same command again"
            raise _failed("uri_not_found", style, uri, reason)
        return found


def _failed(code: FailureCode, style: LibraryStyle, uri: str, reason: str) -> RowFailedError:
    return RowFailedError(Failure(code, f"{uri}: style {style.name!r}: {reason}", uri=uri))
