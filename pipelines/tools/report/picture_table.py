"""Notes about pictures in a temporary SQLite file: thumbnails, and distances of pairs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.psnr import Distance

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE pictures (key TEXT PRIMARY KEY, why TEXT) WITHOUT ROWID;
CREATE TABLE distances (here TEXT, there TEXT, value, PRIMARY KEY (here, there)) WITHOUT ROWID;
"""


class PictureTable:
    """Knows which pictures have a thumbnail, and how far those of a pair are apart."""

    def __init__(self, folder: Path) -> None:
        """Create a table in `folder`, which the caller removes."""
        self._db = sqlite3.connect(folder / "pictures.sqlite", isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._is_empty = True

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def claim_picture(self, key: str) -> bool:
        """Claim a thumbnail; returns True if it was not claimed before."""
        self._is_empty = False
        query = "INSERT OR IGNORE INTO pictures VALUES (?, 'not made')"
        return self._db.execute(query, [key]).rowcount == 1

    def note_picture(self, key: str, why: str | None) -> None:
        """Note the reason why a thumbnail is missing; None if it exists."""
        self._is_empty = False
        self._db.execute("INSERT OR REPLACE INTO pictures VALUES (?, ?)", [key, why])

    def picture(self, key: str) -> tuple[bool, str | None]:
        """Return True if a thumbnail exists, else the reason; None if it was never claimed."""
        if self._is_empty:
            return False, None
        found = self._db.execute("SELECT why FROM pictures WHERE key = ?", [key]).fetchone()
        return (False, None) if found is None else (found[0] is None, found[0])

    @property
    def is_empty(self) -> bool:
        """True if no thumbnail was ever claimed."""
        return self._is_empty

    def are_known(self, keys: Iterable[str]) -> npt.NDArray[np.bool_]:
        """Return `[n]`, True for each picture whose thumbnail was claimed."""
        query = "SELECT 1 FROM pictures WHERE key = ?"
        found = [self._db.execute(query, [key]).fetchone() is not None for key in keys]
        return np.array(found, bool)

    def claim_distance(self, here: str, there: str) -> bool:
        """Claim the comparison of two pictures; returns True if it was not claimed before."""
        query = "INSERT OR IGNORE INTO distances VALUES (?, ?, NULL)"
        return self._db.execute(query, [here, there]).rowcount == 1

    def note_distance(self, here: str, there: str, value: Distance) -> None:
        """Note the distance of two pictures."""
        query = "INSERT OR REPLACE INTO distances VALUES (?, ?, ?)"
        self._db.execute(query, [here, there, value])

    def distance(self, here: str, there: str) -> Distance | None:
        """Return the distance of two pictures; None if it was not noted."""
        query = "SELECT value FROM distances WHERE here = ? AND there = ?"
        found: tuple[Distance | None] | None = self._db.execute(query, [here, there]).fetchone()
        return None if found is None else found[0]
