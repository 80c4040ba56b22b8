"""A folder on any filesystem that fsspec supports, to write to and read back.

Writes are atomic, lists are never cached, and every fault that stays is a `StorageError` that names
the URI without credentials and the remedy. Every operation is idempotent, so faults that may pass
(a slow-down, a cut connection, a server that is down for a minute) are waited out first. A store
that is gone for good is waited for once, not by each operation anew.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from fsspec.implementations.local import LocalFileSystem

from pipelines.errors import StorageError
from pipelines.storage.attempts import Attempts
from pipelines.storage.filesystems import Options, open_filesystem
from pipelines.storage.listing import folders_in, objects_below
from pipelines.storage.local_files import (
    Fill,
    copy_file,
    create_file,
    files_below,
    fill_file,
    fill_folder,
    is_leftover,
    read_file,
    remove_leftovers,
    write_file,
)
from pipelines.storage.local_root import LocalRoot
from pipelines.storage.puts import create_object, presigned_get, put_options, put_timeout
from pipelines.storage.ranged_file import RangedFile
from pipelines.storage.urls import output_problem, redact_uri

T = TypeVar("T")


class Storage:
    """A folder; paths are relative to it, with `/` between their parts.

    Safe to share between threads, and picklable: unpickling opens the filesystem anew. A pickle
    contains the options, so it holds secrets.

    Attributes:
        creates: True if `create` replaces nothing. `check_writable` finds out; a process that has
            not called it may be told by one that has.
    """

    def __init__(
        self, url: str, options: Options, *, patience_s: float = 120, create: bool = True
    ) -> None:
        problem = output_problem(url)
        if problem is not None:
            raise StorageError(redact_uri(url), problem)
        self._url = url
        self._create = create
        self._options = options
        self._patience_s = patience_s
        self._attempts = Attempts(patience_s, options)
        self._fs, root = open_filesystem(url, options)
        self._root = root.rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)
        self._public = self._root if self._local else redact_uri(url).rstrip("/")
        self._local_root = LocalRoot(self._root, create=create) if self._local else None
        self.creates = False

    @classmethod
    def at(
        cls,
        url: str,
        options: Options | None = None,
        *,
        patience_s: float = 120,
        create: bool = True,
    ) -> Storage:
        """Return the folder at `url`; nothing is created or contacted yet.

        Args:
            url: a local path or any fsspec URL.
            options: fsspec options by protocol, secrets already resolved.
            patience_s: seconds for which faults that may pass are waited out: by each operation,
                and by all of them together while none succeeds.
            create: True if the first write may create a local folder. After it, a local folder that
                is gone, or is another one, is an error of each further write.

        Raises:
            StorageError: the URL's filesystem cannot be used (see `open_filesystem`).
        """
        return cls(url, options or {}, patience_s=patience_s, create=create)

    def __reduce__(self) -> tuple[Callable[..., Storage], tuple[Any, ...]]:
        reopen = partial(type(self), patience_s=self._patience_s, create=self._create)
        return reopen, (self._url, self._options)

    def __repr__(self) -> str:
        return f"Storage({self._public!r})"

    @property
    def is_local(self) -> bool:
        """True if the files are on this machine's disk."""
        return self._local

    def uri(self, path: str = "") -> str:
        """Return the URI of a path, without credentials; an absolute path on a local disk."""
        return f"{self._public}/{path}" if path else self._public

    def write(self, path: str, data: bytes | memoryview) -> str:
        """Make `data` the whole content of `path`; if this raises, nothing has changed.

        On a local disk, a temporary file in the same folder is synced and renamed. Other stores get
        one PUT, or beyond 1 GB a multipart upload, which is just as atomic.

        Returns:
            The URI, as `uri` gives it.
        """
        if self._local_root is not None:
            self._call(path, self._local_root.check)
            self._call(path, lambda: write_file(Path(self._full(path)), data))
            self._local_root.written()
        else:
            options = self._put_options(len(data))
            self._call(path, lambda: self._fs.pipe_file(self._full(path), bytes(data), **options))
        return self.uri(path)

    def create(self, path: str, data: bytes) -> bool:
        """Do as `write` if nothing is at `path`; return False, and change nothing, otherwise.

        Without `creates`, it does as `write` in any case. A process that was suspended is
        told by False that another one has written meanwhile: between a look and a `write`, it can
        be suspended again.
        """
        if not self.creates:
            self.write(path, data)
            return True
        # If the answer to an earlier attempt was lost, its own object is there.
        return self._create_new(path, data) or self.read(path) == data

    def write_from(self, path: str, source: Path) -> str:
        """Do as `write`, with the content of a local file, which is not held in memory."""
        if self._local_root is not None:
            self._call(path, self._local_root.check)
            self._call(path, lambda: copy_file(source, Path(self._full(path))))
            self._local_root.written()
        else:
            options = put_timeout(self._fs, source.stat().st_size, self._patience_s)
            self._call(path, lambda: self._fs.put_file(str(source), self._full(path), **options))
        return self.uri(path)

    def write_with(self, path: str, fill: Fill) -> str:
        """Do as `write`, with the content that `fill` puts into a new local file.

        That file is beside `path` on a local disk, and a temporary one for other stores.

        Args:
            path: the path to write.
            fill: writes the file at the path that it is given; called again if a fault of a local
                disk may pass. Its own errors pass through, also a `StorageError` of another store.
        """
        if self._local_root is None:
            with tempfile.TemporaryDirectory(prefix="uso-new-") as folder:
                fill(Path(folder) / "new")
                return self.write_from(path, Path(folder) / "new")
        self._fill(fill_file, path, fill)
        return self.uri(path)

    def write_folder_with(self, prefix: str, fill: Fill) -> None:
        """Do as `write_with` with a whole folder of files, on a local disk; see `fill_folder`."""
        self._fill(fill_folder, prefix, fill)

    def read(self, path: str) -> bytes:
        """Return the whole content of `path`; the fault is `not_found` if it does not exist."""
        full = self._full(path)
        if self._local:
            return self._call(path, lambda: read_file(full))
        return self._call(path, lambda: cast(bytes, self._fs.cat_file(full)))

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Return the bytes of `path` from `start` to `end`, excluded."""
        full = self._full(path)
        return self._call(path, lambda: cast(bytes, self._fs.cat_file(full, start=start, end=end)))

    def presigned(self, path: str, seconds: int, **headers: str) -> str:
        """Return a URL of `path` on S3 that needs no credentials for `seconds`."""
        return presigned_get(self._fs, self._full(path), seconds, headers)

    def open(self, path: str, num_bytes: int) -> RangedFile:
        """Open `path`, which has `num_bytes`, to read parts of it; nothing is contacted yet."""
        return RangedFile(lambda start, end: self.read_range(path, start, end), num_bytes)

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the sizes in bytes, by path, of all files below the folder `prefix`.

        A folder that does not exist is empty. Leftovers of writers that were killed are not listed.
        """
        found = self._call(prefix, lambda: self._find(prefix))
        return {path: found[path] for path in sorted(found) if not is_leftover(path)}

    def folders(self, prefix: str) -> Sequence[str]:
        """Return the paths of the folders in the folder `prefix`, sorted; none if it is absent."""
        names = self._call(prefix, lambda: sorted(folders_in(self._fs, self._full(prefix))))
        return [f"{prefix}/{name}" for name in names]

    def list(self, prefix: str) -> list[str]:
        """Return the paths of all files below the folder `prefix`, sorted; see `sizes`."""
        return list(self.sizes(prefix))

    def exists(self, path: str) -> bool:
        """Return True if there is a file or folder at `path`."""
        try:
            self._call(path, lambda: self._fs.info(self._full(path)))
        except StorageError as error:
            if error.fault == "not_found":
                return False
            raise
        return True

    def delete(self, path: str) -> None:
        """Remove the file at `path`, if it exists."""
        try:
            self._call(path, lambda: self._fs.rm_file(self._full(path)))
        except StorageError as error:
            if error.fault != "not_found":
                raise

    def delete_folder(self, prefix: str) -> None:
        """Remove the flat folder `prefix`, if it exists."""
        for path in self._call(prefix, lambda: self._find(prefix)):
            self.delete(path)
        if self._local and self.exists(prefix):
            self._call(prefix, Path(self._full(prefix)).rmdir)

    def remove_leftovers(self, prefix: str) -> int:
        """Remove what killed writers left below `prefix`; return the number of files or folders."""
        if not self._local:
            return 0
        return self._call(prefix, lambda: remove_leftovers(self._full(prefix)))

    def check_writable(self) -> None:
        """Try the store with a small object, also for conditional writes; see `create`.

        Raises:
            StorageError: the bucket does not exist, access is denied, the disk is full, …
        """
        probe = (path := f"run/probe-{secrets.token_hex(8)}").encode()
        self.write(path, probe)
        if self.read(path) != probe:
            raise StorageError(self.uri(path), "a test object read back with different content")
        self.creates = self._refuses_to_replace(path, probe)
        self.delete(path)

    def _fill(self, store: Callable[[Path, Fill], None], path: str, fill: Fill) -> None:
        assert self._local_root is not None
        attempt = partial(self._local_root.fill, store, Path(self._full(path)), fill)
        if (error := self._call(path, attempt)) is not None:
            raise error

    def _create_new(self, path: str, data: bytes) -> bool:
        full = self._full(path)
        if self._local_root is None:
            options = self._put_options(len(data))
            return self._call(path, lambda: create_object(self._fs, full, data, options))
        self._call(path, self._local_root.check)
        created = self._call(path, lambda: create_file(Path(full), data))
        self._local_root.written()
        return created

    def _refuses_to_replace(self, path: str, data: bytes) -> bool:
        """Return True if the store leaves the object at `path`; some ignore the condition."""
        try:
            return not self._create_new(path, data)
        except StorageError as error:
            if error.fault == "unavailable":
                raise
        except (TypeError, ValueError, NotImplementedError):
            pass  # a filesystem whose `pipe_file` has no mode
        return False

    def _full(self, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"{path!r} is not a path inside a storage folder")
        return f"{self._root}/{path}".rstrip("/")

    def _find(self, prefix: str) -> dict[str, int]:
        """Return the sizes of all files below a folder, including leftovers, by path."""
        folder, start = self._full(prefix) + "/", len(self._root) + 1
        # fsspec takes a local folder that cannot be listed for an empty one.
        found = files_below(folder) if self._local else objects_below(self._fs, folder)
        return {name[start:]: num_bytes for name, num_bytes in found}

    def _put_options(self, num_bytes: int) -> dict[str, Any]:
        return put_options(self._fs, num_bytes, self._patience_s)

    def _call(self, path: str, operation: Callable[[], T]) -> T:
        return self._attempts.call(self.uri(path), operation)
