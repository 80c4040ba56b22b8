"""Collects the licence and the wish of a reference, and refuses it if the policy honours wishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipelines.config.inputs import FetchConfig
from pipelines.failures import RowFailedError
from pipelines.fetch.errors import fetch_failed
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.rights.c2pa_wish import UNREAD, c2pa_wish, has_manifest
from pipelines.fetch.rights.sidecars import rights_beside, sidecars_of
from pipelines.fetch.rights.xmp import xmp_rights
from pipelines.reference_facts import ReferenceRights
from pipelines.rows import Reference
from pipelines.storage.urls import is_uri

_MOST_BESIDE = 2**20


@dataclass(frozen=True, slots=True)
class Asked:
    """A reference of a row, for which licence and wish are asked.

    Attributes:
        column: the column that it comes from, for messages.
        given: licence and wish as the manifest states them.
        note: called with the licence and the wish that were found, also before an error.
    """

    column: str
    given: ReferenceRights
    note: Callable[[ReferenceRights], None]


class RightsPolicy:
    """The policy `fetch.wishes`; safe to share between threads.

    Args:
        config: the policy.
        read: reads the file at a URI; raises as `Fetcher.read`.
        exists: returns True if there is a local file at a path or `file:` URI.
    """

    def __init__(
        self,
        config: FetchConfig,
        read: Callable[[Reference], Fetched],
        exists: Callable[[str], bool],
    ) -> None:
        self._exists = exists
        self._wishes = config.wish_modes
        self._sidecars = config.sidecars
        self._read = read

    def check_given(self, reference: Reference, asked: Asked) -> None:
        """Refuse a reference before it is fetched, if the manifest's mark is enough.

        Raises:
            RowFailedError: `uri_refused`.
        """
        if asked.given.wish is not None and self._mode(reference) == "honour":
            asked.note(asked.given)
            self._refuse(reference, asked.column, asked.given.wish)

    def check_file(self, reference: Reference, fetched: Fetched, asked: Asked) -> None:
        """Note the licence and the wish of a reference, and refuse it if the policy says so.

        The first wish counts: that of the manifest, of the response, of a file beside it, of the
        file's XMP, of its C2PA manifest.

        Raises:
            RowFailedError: `uri_refused`.
        """
        mode = self._mode(reference)
        if mode == "ignore":
            return
        licence, wish = asked.given
        for found in self._found(reference, fetched):
            licence, wish = licence or found.licence, wish or found.wish
        if wish is None and has_manifest(fetched.without_pixels):
            wish = c2pa_wish(fetched.data)
        if licence is not None or wish is not None:
            asked.note(ReferenceRights(licence, wish))
        if wish is not None and wish != UNREAD and mode == "honour":
            self._refuse(reference, asked.column, wish)

    def _found(self, reference: Reference, fetched: Fetched) -> Iterator[ReferenceRights]:
        yield ReferenceRights(None, fetched.robots)
        if self._has_sidecars(reference):
            assert isinstance(reference, str)
            yield from map(self._beside, sidecars_of(reference))
        yield xmp_rights(fetched.without_pixels)

    def _has_sidecars(self, reference: Reference) -> bool:
        if isinstance(reference, bytes) or self._sidecars == "off":
            return False
        scheme = _scheme(reference)
        is_store = scheme not in ("", "file", "http", "https", "data")
        return scheme in ("", "file") or (is_store and self._sidecars == "all")

    def _beside(self, uri: str) -> ReferenceRights:
        if _scheme(uri) in ("", "file") and not self._exists(uri):
            return ReferenceRights()
        try:
            data = self._read(uri).data
        except RowFailedError:  # there is none, or it is as little readable
            return ReferenceRights()
        return rights_beside(uri, data[:_MOST_BESIDE])

    def _mode(self, reference: Reference) -> str:
        return self._wishes.mode(_scheme(reference))

    def _refuse(self, reference: Reference, column: str, wish: str) -> None:
        key = self._wishes.key(_scheme(reference))
        raise fetch_failed(
            "uri_refused",
            reference,
            f"column {column}: its owner does not want it used for AI ({wish}); leave it out, or "
            f"set {key}: record if you have their consent",
        )


def _scheme(reference: Reference) -> str:
    if isinstance(reference, bytes) or not is_uri(reference):
        return ""
    return reference.partition(":")[0].lower()
