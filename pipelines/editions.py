"""Editions: files of the manifest as a run has read them, so that a later run need not read them.

A record says from which row of which edition it was made. If all rows of a row group have records
of this kind, the next run leaves the group unread: its rows would have the recorded digests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Place(NamedTuple):
    """The place of a row in the manifest.

    Attributes:
        edition: the digest of the edition.
        row: the number of the row in it, from 0.
    """

    edition: int
    row: int


@dataclass(frozen=True, slots=True)
class Edition:
    """A file of the manifest, unchanged, after the same files and under the same settings.

    Attributes:
        digest: a hash of everything that the digests and ids of its rows depend on.
        groups: the number of rows in each group that can be left unread.
    """

    digest: int
    groups: tuple[int, ...]
