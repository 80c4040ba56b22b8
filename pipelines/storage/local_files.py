"""Writes files to a local disk so that each is complete or absent, even after a power cut."""

from __future__ import annotations

import errno
import mmap
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from pipelines.in_order import in_order

Fill = Callable[[Path], None]
"""Writes to a local path that it is given."""

_PREFIX, _SUFFIX = ".uso-", ".tmp"
_SYNCS = 8
# Some network and user-space filesystems can sync files but not folders.
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})


def write_file(path: Path, data: bytes | memoryview) -> None:
    """Make `data` the content of `path` through a temporary file beside it, synced and renamed.

    Missing folders are created. A writer that is killed leaves at most its temporary file, which
    `is_leftover` recognizes by its name.
    """
    with _file_beside(path, partial(_put, data)) as temporary:
        temporary.replace(path)


def create_file(path: Path, data: bytes | memoryview) -> bool:
    """Do as `write_file`, unless something is at `path`; return False if so.

    Raises:
        OSError: the filesystem has no hard links, among other reasons.
    """
    with _file_beside(path, partial(_put, data)) as temporary:
        try:
            path.hardlink_to(temporary)  # a rename would replace the file
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
    return True


def fill_file(path: Path, fill: Fill) -> None:
    """Do as `write_file`, with the content that `fill` puts into the temporary file.

    Raises:
        OSError: ESTALE, which is worth another attempt, if someone has removed the temporary file.
    """
    with _file_beside(path, fill) as temporary:
        try:
            _sync(temporary)
            temporary.replace(path)
        except FileNotFoundError as error:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(temporary)) from error


def fill_folder(path: Path, fill: Fill) -> None:
    """Make the files that `fill` puts into a new folder the whole content of the folder `path`.

    The files are synced before the new folder takes the place of the old one, which is gone for a
    moment in between. `fill` makes no folders.

    Raises:
        OSError: ESTALE, which is worth another attempt, if someone has removed the new folder.
    """
    _make_folder(path.parent)
    new, old = _temporary_beside(path), _temporary_beside(path)
    new.mkdir()
    try:
        fill(new)
        # In threads, so that the disk writes several files at a time.
        for _ in in_order(_sync, list(new.iterdir()), _SYNCS):
            pass
        sync_folder(new)
        with suppress(FileNotFoundError):
            path.rename(old)
        new.rename(path)
    except FileNotFoundError as error:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(new)) from error
    finally:
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
    sync_folder(path.parent)


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


@contextmanager
def _file_beside(path: Path, fill: Fill) -> Iterator[Path]:
    """Yield a temporary file beside `path` that `fill` has made; then sync their folder."""
    _make_folder(path.parent)
    temporary = _temporary_beside(path)
    try:
        fill(temporary)
        yield temporary
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _temporary_beside(path: Path) -> Path:
    # Not derived from path.name, which may be as long as the filesystem allows.
    return path.parent / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"


def _put(data: bytes | memoryview, path: Path) -> None:
    """Write a new file, and sync it."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def copy_file(source: Path, target: Path) -> None:
    """Do as `write_file`, with the content of `source`, which must not be empty."""
    with (
        source.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as data,
    ):
        write_file(target, data)


def read_file(path: str) -> bytes:
    """Return the content of a file, without the buffers and layers of `open` and fsspec."""
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def files_below(folder: str) -> Iterator[tuple[str, int]]:
    """Yield path and size in bytes of each file, or link to one, below a folder.

    A folder that does not exist yields nothing.

    Raises:
        OSError: the folder cannot be listed, so it must not be taken for empty; or a link is
            broken.
    """
    for parent, _, names in os.walk(folder, onerror=_cannot_list):
        for name in names:
            path = os.path.join(parent, name)
            try:
                found = os.stat(path)
            except FileNotFoundError:
                if os.path.islink(path):
                    raise
                continue  # removed in the meantime
            if stat.S_ISREG(found.st_mode):
                yield path, found.st_size


def remove_leftovers(folder: str) -> int:
    """Remove the temporary files and folders of writers below a folder; return their number.

    Raises:
        OSError: the folder cannot be listed, or one of them cannot be removed.
    """
    removed = 0
    for parent, folders, names in os.walk(folder, onerror=_cannot_list):
        for name in filter(is_leftover, names):
            Path(parent, name).unlink(missing_ok=True)
            removed += 1
        for name in [*filter(is_leftover, folders)]:
            folders.remove(name)  # it is not walked into
            with suppress(FileNotFoundError):
                shutil.rmtree(os.path.join(parent, name))
            removed += 1
    return removed


def _cannot_list(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def is_leftover(path: str) -> bool:
    """Return True if a file of this name (or path) is a temporary one, or in a temporary folder."""
    parts = path.split("/")
    return any(part.startswith(_PREFIX) and part.endswith(_SUFFIX) for part in parts)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, if its filesystem supports that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)
