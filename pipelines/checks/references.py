"""Finds the rows of an output whose references have been replaced since they were fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple

from pipelines.checks.current_marks import CurrentMarks
from pipelines.checks.recorded_references import Recorded, recorded_references
from pipelines.checks.seen_versions import SeenVersions
from pipelines.config.inputs import FetchConfig
from pipelines.failures import RowFailedError
from pipelines.fetch.fetched import ABSENT
from pipelines.fetch.fetcher import Fetcher, scheme_of
from pipelines.in_order import in_order
from pipelines.ledger.records import Records

Verdict = Literal["same", "changed", "compare"]
Show = Callable[[str, int], None]
"""Called with the current step and the number of references done."""


class Changes(NamedTuple):
    """Some references that were replaced, sorted, and the ids of their rows."""

    uris: list[str]
    row_ids: list[str]


@dataclass(slots=True)
class ReferenceCheck:
    """Compares the references of records with the files of now.

    A reference without a recorded version counts as unchanged, and its version of now is taken up.
    A file that is gone, or whose place cannot be asked, changes nothing: there is nothing to
    generate from.

    Attributes:
        fetcher: looks at files, and reads those whose content is compared.
        config: the marks to compare, by the kind of place.
        marks: looks at many files.
        seen: versions that no record holds.
        unknown: number of references that could not be looked at.
    """

    fetcher: Fetcher
    config: FetchConfig
    marks: CurrentMarks
    seen: SeenVersions
    unknown: int = 0
    _done: int = field(default=0, init=False)

    def changes(self, records: Records, show: Show) -> Iterator[Changes]:
        """Yield the references that were replaced, with the ids of their rows, if there are any.

        Takes about 100 MB, for the references of 2¹⁷ rows or fewer at a time, whatever the number
        of records. Call `seen.save` afterwards.

        Raises:
            LedgerError: the records cannot be used.
            StorageError: the records cannot be read.
        """
        modes = self.config.fingerprints
        for some in recorded_references(records):
            by_marks: list[Recorded] = []
            by_content: list[Recorded] = []
            for one in some.distinct:
                mode = modes.mode(_kind(one.uri))
                if mode != "uri":
                    (by_marks if mode == "stat" else by_content).append(one)
            changed = {
                *self._changed_marks(by_marks, show),
                *self._changed_content(by_content, show),
            }
            self._done += len(some.rows)
            show("comparing the references", self._done)
            if changed:
                uris = sorted({one.uri for one in changed})
                yield Changes(uris, some.rows_with([one in changed for one in some.distinct]))

    def _changed_marks(self, references: Sequence[Recorded], show: Show) -> Iterator[Recorded]:
        """Yield the references whose marks, and then also whose content, are others."""
        uris = sorted({one.uri for one in references})
        now = dict(self.marks.of(uris, partial(show, "looking at references")))
        doubtful: list[Recorded] = []
        for one in references:
            if one.stat == now[one.uri]:  # nearly always
                self.unknown += one.stat is None
                continue
            verdict = self._by_marks(one, now[one.uri])
            if verdict == "changed":
                yield one
            elif verdict == "compare":
                doubtful.append(one)
        contents = self._contents({one.uri for one in doubtful}, show)
        for one in doubtful:
            content = contents[one.uri]
            marks = now[one.uri]
            if content == one.sha256 and marks is not None:
                self.seen.of(one.uri, one.sha256).add(marks)
            elif content is None or content == ABSENT:
                self.unknown += content is None
            else:
                yield one

    def _changed_content(self, references: Sequence[Recorded], show: Show) -> Iterator[Recorded]:
        """Yield the references whose content is another."""
        contents = self._contents({one.uri for one in references}, show)
        for one in references:
            if self._by_content(one, contents[one.uri]) == "changed":
                yield one

    def _by_marks(self, one: Recorded, now: str | None) -> Verdict:
        if now is None:
            self.unknown += 1
            return "same"
        if one.stat == now or (now == ABSENT and one.stat is not None):
            return "same"
        if one.stat is None:
            return self._against_seen(one.uri, now)
        if one.sha256 is None:  # it was absent, or too large to be fetched
            return "changed"
        return "same" if now in self.seen.of(one.uri, one.sha256) else "compare"

    def _by_content(self, one: Recorded, now: str | None) -> Verdict:
        if now is None:
            self.unknown += 1
            return "same"
        if now in (one.sha256, ABSENT):
            return "same"
        if one.sha256 is None and one.stat is None:
            return self._against_seen(one.uri, f"sha256 {now}")
        return "changed"

    def _against_seen(self, uri: str, now: str) -> Verdict:
        """Compare with the version that an earlier check took up, or take up this one."""
        seen = self.seen.of(uri, None)
        if not len(seen):
            if now != ABSENT:
                seen.add(now)
            return "same"
        return "same" if now in seen or now == ABSENT else "changed"

    def _contents(self, uris: Iterable[str], show: Show) -> dict[str, str | None]:
        """Return the SHA-256 of each file; `ABSENT` if it is gone, None if it cannot be read."""
        wanted = sorted(uris)
        read = in_order(partial(_content, self.fetcher), wanted, self.config.concurrency)
        found: dict[str, str | None] = {}
        for uri, content in zip(wanted, read, strict=True):
            found[uri] = content
            show("reading references", len(found))
        return found


def _content(fetcher: Fetcher, uri: str) -> str | None:
    try:
        return hashlib.sha256(fetcher.read(uri).data).hexdigest()
    except RowFailedError as error:
        return ABSENT if error.failure.code == "uri_not_found" else None


def _kind(reference: str) -> str:
    """Return the scheme of a reference as records have it; inline images are `sha256:…`."""
    if "://" not in reference and reference.startswith("sha256:"):
        return "sha256"
    return scheme_of(reference)
