"""A storage whose process is killed at a change that a test chooses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.storage.filesystems import Options
from pipelines.storage.local_files import Fill
from pipelines.storage.storage import Storage


class KilledError(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class MortalStorage(Storage):
    """A storage whose process is killed at its n-th change, just before or just after it.

    Operations without a change need no kill of their own: they leave the state of the previous
    change.
    """

    def __init__(self, url: str, options: Options, *, dies_at: int, after: bool) -> None:
        super().__init__(url, options)
        self._left = dies_at
        self._after = after

    def write(self, path: str, data: bytes | memoryview) -> str:
        with self._maybe_killed():
            return super().write(path, data)

    def write_from(self, path: str, source: Path) -> str:
        with self._maybe_killed():
            return super().write_from(path, source)

    def write_with(self, path: str, fill: Fill) -> str:
        if not self.is_local:  # it is a `write_from` then
            return super().write_with(path, fill)
        with self._maybe_killed():
            return super().write_with(path, fill)

    def write_folder_with(self, prefix: str, fill: Fill) -> None:
        with self._maybe_killed():
            super().write_folder_with(prefix, fill)

    def delete(self, path: str) -> None:
        with self._maybe_killed():
            super().delete(path)

    @contextmanager
    def _maybe_killed(self) -> Iterator[None]:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise KilledError
        yield
        if self._left == 0:
            raise KilledError
