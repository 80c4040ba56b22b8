"""The images that an output holds, by path and size: 16 bytes of memory per image."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.in_order import in_order
from pipelines.keys.column import Column
from pipelines.name_template import PICTURES
from pipelines.storage.storage import Storage

IMAGES = "images"

_FOLDER = re.compile(rf"{IMAGES}/[0-9a-f]{{2}}")
_LISTERS = 8
_KEY_BYTES = 7


class _Listed(NamedTuple):
    keys: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.int64]


class StoredImages:
    """The images in the folders `images/00` to `images/ff`, and those in `pictures/`.

    Each folder is listed once, `pictures/` only if it is asked for. A key is a folder's number and
    a keyed hash of the path: nobody can choose ids whose keys collide.
    """

    def __init__(self) -> None:
        """Know no image; see `list_images`."""
        self._secret = secrets.token_bytes(16)
        self._keys = Column(np.uint64)
        self._sizes = Column(np.int64)
        self._output: Storage | None = None  # until its pictures are listed

    def list_images(self, output: Storage, show: Callable[[int], None]) -> None:
        """List the images of an output; one listing per folder, several at a time.

        Args:
            output: the output.
            show: called with the number of images so far.

        Raises:
            StorageError: a folder cannot be listed.
        """
        self._output = output
        folders = [folder for folder in output.folders(IMAGES) if _FOLDER.fullmatch(folder)]
        for listed in in_order(partial(self._list, output), folders, _LISTERS):
            self._keys.extend(listed.keys)
            self._sizes.extend(listed.sizes)
            show(len(self._keys.values))

    def sizes_of(self, paths: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the size of each image in bytes, `[n]`; -1 for one that is not there.

        Args:
            paths: paths in the output, as `path_in_output` returns them.

        Raises:
            StorageError: the pictures cannot be listed.
        """
        if self._output is not None and any(path.startswith(f"{PICTURES}/") for path in paths):
            listed = self._list(self._output, PICTURES)
            self._keys.extend(listed.keys)
            self._sizes.extend(listed.sizes)
            self._sort()
            self._output = None
        wanted = self._keys_of(paths)
        known = self._keys.values
        at = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
        if not len(known):
            return np.full(len(paths), -1, np.int64)
        return np.where(known[at] == wanted, self._sizes.values[at], -1)

    def _sort(self) -> None:
        """Sort all images, unless they are: an output may have images of both kinds."""
        keys, sizes = self._keys.values, self._sizes.values
        if np.any(keys[1:] < keys[:-1]):
            order = np.argsort(keys)
            keys[:], sizes[:] = keys[order], sizes[order]

    def _list(self, output: Storage, folder: str) -> _Listed:
        found = output.sizes(folder)
        keys = self._keys_of([*found])
        order = np.argsort(keys)
        return _Listed(keys[order], np.fromiter(found.values(), np.int64, len(found))[order])

    def _keys_of(self, paths: Sequence[str]) -> npt.NDArray[np.uint64]:
        return np.frombuffer(b"".join(self._key(path) for path in paths), ">u8").astype(np.uint64)

    def _key(self, path: str) -> bytes:
        is_named = path.startswith(f"{PICTURES}/")
        number = b"\xff" if is_named else bytes.fromhex(path[len(IMAGES) + 1 : len(IMAGES) + 3])
        # A path with a lone surrogate is possible: names of files are bytes.
        name = path.encode("utf-8", "surrogateescape")
        return number + blake2b(name, digest_size=_KEY_BYTES, key=self._secret).digest()
