"""The root folder of a local storage: created once at most, and then always the same folder."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from pipelines.errors import StorageError
from pipelines.storage.local_files import Fill

_NO_PATH = (errno.ENAMETOOLONG, errno.ELOOP)


class LocalRoot:
    """Checks before each write that the folder is still the one that was written to before.

    A folder that is removed during a run, or whose disk is unmounted, would otherwise be made anew:
    on another disk, without the files that it held. Several threads may write at a time.

    Args:
        path: the absolute path of the folder.
        create: True if the first write may create it.
    """

    def __init__(self, path: str, *, create: bool) -> None:
        self._path = path
        self._may_create = create
        self._seen: tuple[int, int] | None = None

    def check(self) -> None:
        """Check the folder before a write.

        Raises:
            StorageError: the folder is gone, is another one than before, does not exist and must
                not be created, or is a file or inside one.
        """
        # The last look is read first: another thread may create the folder before this one looks.
        seen = self._seen
        found = self._identity()
        if seen is not None and found != seen:
            raise StorageError(
                self._path,
                "the folder was removed, replaced or unmounted during the run, and is not made "
                "anew; bring it back and rerun the same command",
            )
        if found is None and not self._may_create:
            raise StorageError(
                self._path,
                "the folder does not exist here; mount it, or give a folder that every node has",
                "not_found",
            )
        if found is not None:
            self._seen = found

    def written(self) -> None:
        """Remember the folder after the write that may have created it."""
        if self._seen is None:
            self._seen = self._identity()

    def fill(
        self, store: Callable[[Path, Fill], None], path: Path, fill: Fill
    ) -> StorageError | None:
        """Check the folder, and then call `store`: `fill_file`, or `fill_folder`.

        Returns:
            An error of the folder, or of a store that `fill` reads, which another attempt does not
            mend. It is not raised, because it must not count as a fault of this disk.
        """
        try:
            self.check()
            store(path, fill)
        except StorageError as error:
            return error
        self.written()
        return None

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        except NotADirectoryError as error:
            raise self._no_folder() from error
        except OSError as error:
            if error.errno not in _NO_PATH:
                raise
            raise StorageError(self._path, f"{error.strerror}; give another folder") from error
        if not stat.S_ISDIR(found.st_mode):
            raise self._no_folder()
        return found.st_dev, found.st_ino

    def _no_folder(self) -> StorageError:
        path = Path(self._path)
        file = next(each for each in (path, *path.parents) if each.exists())
        return StorageError(self._path, f"{file} is a file, and no folder; give another folder")
