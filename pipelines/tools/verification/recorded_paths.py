"""The images that records name, and the other files in their folders."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from pipelines.checks.stored_images import IMAGES
from pipelines.in_order import in_order
from pipelines.keys.distinct import KnownHashes, SortedHashes
from pipelines.name_template import PICTURES
from pipelines.storage.storage import Storage

_LISTERS = 8
_KEY_BYTES = 8


class RecordedPaths:
    """Paths of images in an output: 8 bytes each, in temporary files.

    A key is a hash with a secret of this object, so nobody can choose ids whose keys collide.
    """

    def __init__(self) -> None:
        """Know no path."""
        self._secret = secrets.token_bytes(16)
        self._keys = SortedHashes()

    def add(self, paths: Sequence[str]) -> None:
        """Add the paths of recorded images; each call takes memory of its own, so add many.

        Raises:
            StorageError: the temporary folder is full or not writable.
        """
        self._keys.add(self._keys_of(paths))

    def others(self, output: Storage) -> Iterator[list[str]]:
        """Yield the paths of files in `images/` and `pictures/` that were not added, by folder.

        Raises:
            StorageError: a folder cannot be listed, or the temporary folder is full.
        """
        known = KnownHashes(self._keys)
        folders = [*output.folders(IMAGES), PICTURES]
        for sizes in in_order(output.sizes, folders, _LISTERS):
            paths = [path for path in sizes if not _is_hidden(path)]
            is_known = known.has(self._keys_of(paths)).tolist()
            yield [path for path, found in zip(paths, is_known, strict=True) if not found]

    def _keys_of(self, paths: Sequence[str]) -> npt.NDArray[np.uint64]:
        # A path with a lone surrogate is possible: names of files are bytes.
        names = (path.encode("utf-8", "surrogateescape") for path in paths)
        hashes = (
            blake2b(name, digest_size=_KEY_BYTES, key=self._secret).digest() for name in names
        )
        return np.frombuffer(b"".join(hashes), ">u8").astype(np.uint64)


def _is_hidden(path: str) -> bool:
    """Return True for a temporary file of a write that was killed; the next run removes it."""
    return path.rpartition("/")[2].startswith(".")
