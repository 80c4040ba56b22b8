"""`references/seen`: versions of references that a run has met and that no record holds.

A record made by an older version knows no version of its references: the first check takes up the
present ones. And a reference may get other marks although its content stays, for example because it
was copied: once the content was compared, the new marks count as the same.

The file is a sorted table of 16 bytes a row: 8 bytes of a hash of the reference (and of its
recorded SHA-256, if it has one), and 8 of a hash of a version. If it is lost, so is this knowledge,
and nothing is generated again for that.
"""

from __future__ import annotations

import logging
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from pipelines.errors import StorageError
from pipelines.storage.storage import Storage

logger = logging.getLogger(__name__)

PATH = "references/seen"

_MAGIC = b"uso seen refs 1\n"
_TABLE = np.dtype([("reference", "<u8"), ("version", "<u8")])


class SeenVersions:
    """The versions of each reference that count as the one that was fetched."""

    def __init__(self, storage: Storage) -> None:
        """Read the file of an output, if there is one.

        Raises:
            StorageError: it cannot be read.
        """
        self._storage = storage
        self._table = _read(storage)
        self._added: dict[int, set[int]] = {}

    def of(self, uri: str, sha256: str | None) -> Seen:
        """Return the versions of one reference.

        Args:
            uri: its URI.
            sha256: the recorded hash of its content; None if none is recorded.
        """
        key = _hash(uri if sha256 is None else f"{uri}\n{sha256}")
        bounds = np.array([key, key + 1], np.uint64)
        start, end = np.searchsorted(self._table["reference"], bounds).tolist()
        known = set(self._table["version"][start:end].tolist())
        return Seen(key, known | self._added.get(key, set()), self._added)

    def save(self) -> None:
        """Write the file, if versions were added.

        Raises:
            StorageError: it cannot be written.
        """
        if not self._added:
            return
        pairs = [(key, version) for key, found in self._added.items() for version in found]
        table = np.concatenate([self._table, np.array(pairs, _TABLE)])
        table = table[np.argsort(table["reference"], kind="stable")]
        self._storage.write(PATH, _MAGIC + table.tobytes())
        self._table, self._added = table, {}


class Seen:
    """The versions of one reference."""

    def __init__(self, key: int, versions: set[int], added: dict[int, set[int]]) -> None:
        """Use `SeenVersions.of`."""
        self._key = key
        self._versions = versions
        self._added = added

    def __len__(self) -> int:
        return len(self._versions)

    def __contains__(self, version: str) -> bool:
        return _hash(version) in self._versions

    def add(self, version: str) -> None:
        """Count a version as the one that was fetched."""
        self._added.setdefault(self._key, set()).add(_hash(version))


def _read(storage: Storage) -> npt.NDArray[np.void]:
    try:
        content = storage.read(PATH)
    except StorageError as error:
        if error.fault != "not_found":
            raise
        return np.empty(0, _TABLE)
    rows, rest = divmod(len(content) - len(_MAGIC), _TABLE.itemsize)
    if rest or not content.startswith(_MAGIC):
        logger.warning("seen_versions_damaged file=%s: it is written anew", storage.uri(PATH))
        return np.empty(0, _TABLE)
    return np.frombuffer(content, _TABLE, rows, len(_MAGIC))


def _hash(text: str) -> int:
    # One bit less than 8 bytes, so that the next number exists, too.
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
