"""A library of styles: one file for each, in a folder at any URL."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from difflib import get_close_matches

from pipelines.errors import StorageError, StyleError
from pipelines.storage.filesystems import Options
from pipelines.storage.storage import Storage
from pipelines.styles.style_file import (
    FIRST_BYTES,
    SUFFIX,
    StyleFacts,
    StyleFileError,
    facts_in,
    header_end,
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_FORM = "1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first"
_MOST_NAMES = 8


class StyleLibrary:
    """The styles in a folder; safe to share between threads.

    The facts of a style are read once. A process that must see later changes makes a new object.
    """

    def __init__(self, url: str, options: Options, *, patience_s: float = 120) -> None:
        """Name the folder; nothing is contacted yet.

        Args:
            url: a local path or any fsspec URL.
            options: fsspec options by protocol, secrets resolved.
            patience_s: seconds for which faults that may pass are waited out.

        Raises:
            StorageError: the filesystem of the URL cannot be used.
        """
        self._storage = Storage.at(url, options, patience_s=patience_s)
        self._lock = threading.Lock()
        self._facts: dict[str, StyleFacts | StyleFileError | None] = {}

    @property
    def uri(self) -> str:
        """URI of the folder, without credentials."""
        return self._storage.uri()

    def file_uri(self, name: str) -> str:
        """Return the URI of a style's file, without credentials."""
        return self._storage.uri(name + SUFFIX)

    def names(self) -> list[str]:
        """Return the names of the styles, sorted; a folder that does not exist has none.

        Raises:
            StorageError: the folder cannot be listed.
        """
        paths = self._storage.list("")
        found = (path.removesuffix(SUFFIX) for path in paths if path.endswith(SUFFIX))
        return sorted(name for name in found if NAME.fullmatch(name))

    def has(self, name: str) -> bool:
        """Return True if there is a file of that name, also a damaged one.

        Raises:
            StorageError: the folder cannot be read.
        """
        return NAME.fullmatch(name) is not None and self._storage.exists(name + SUFFIX)

    def facts(self, name: str) -> StyleFacts | None:
        """Return the facts about a style; None if there is no style of that name.

        Raises:
            StyleError: the file is not that of a style; the reason has the remedy.
            StorageError: the file cannot be read.
        """
        with self._lock:
            if name not in self._facts:
                self._facts[name] = self._read_facts(name) if NAME.fullmatch(name) else None
            found = self._facts[name]
        if isinstance(found, StyleFileError):
            raise StyleError(self.file_uri(name), str(found)) from found
        return found

    def read(self, name: str) -> bytes:
        """Return the file of a style.

        Raises:
            StyleError: there is no style of that name.
            StorageError: the file cannot be read.
        """
        data = self._absent_is_none(name) if NAME.fullmatch(name) else None
        if data is None:
            raise StyleError(self.uri, f"it has no style {name!r}; {self.nearest(name)}")
        return data

    def write(self, name: str, data: bytes, *, force: bool = False) -> str:
        """Keep a style under a name, and return the URI of its file.

        Args:
            name: matches `NAME`.
            data: the file of a style.
            force: replace a style of that name.

        Raises:
            StyleError: the name is not accepted, or taken.
            StorageError: the file cannot be written.
        """
        if not NAME.fullmatch(name):
            raise StyleError(f"the name {name!r}", f"is not accepted; give {NAME_FORM}")
        path = name + SUFFIX
        with self._lock:
            self._facts.pop(name, None)
        if force:
            return self._storage.write(path, data)
        # Another process may add the name meanwhile, so the store decides where it can.
        if self._storage.exists(path) or not self._created(path, data):
            raise StyleError(self.file_uri(name), "exists; use --force to replace it")
        return self.file_uri(name)

    def _created(self, path: str, data: bytes) -> bool:
        self._storage.creates = True  # not known yet
        try:
            return self._storage.create(path, data)
        except StorageError as error:
            if error.fault == "unavailable":
                raise
        except (TypeError, ValueError, NotImplementedError):
            pass  # a filesystem without conditional writes
        self._storage.write(path, data)
        return True

    def remove(self, name: str) -> None:
        """Remove a style.

        Raises:
            StyleError: there is no style of that name.
            StorageError: the file cannot be removed.
        """
        if not self.has(name):
            raise StyleError(self.uri, f"it has no style {name!r}; {self.nearest(name)}")
        with self._lock:
            self._facts.pop(name, None)
        self._storage.delete(name + SUFFIX)

    def nearest(self, name: str) -> str:
        """Return advice for a name that is missing: the names that are most like it."""
        names = self.names()
        if not names:
            return "it has no styles; `uso style add` adds one"
        folded = {each.casefold(): each for each in reversed(names)}
        close = [folded[each] for each in get_close_matches(name.casefold().strip(), folded, n=3)]
        if close:
            return f"near it {'is' if len(close) == 1 else 'are'} {_listed(close)}"
        return f"it has {_listed(names)}"

    def _read_facts(self, name: str) -> StyleFacts | StyleFileError | None:
        try:
            first = self._storage.read_range(name + SUFFIX, 0, FIRST_BYTES)
            end = header_end(first)
            if end > len(first):
                first = self._storage.read_range(name + SUFFIX, 0, end)
            return facts_in(first)
        except StyleFileError as error:
            return error  # kept, as many rows may name it
        except StorageError as error:
            if error.fault == "not_found":
                return None
            raise

    def _absent_is_none(self, name: str) -> bytes | None:
        try:
            return self._storage.read(name + SUFFIX)
        except StorageError as error:
            if error.fault == "not_found":
                return None
            raise


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
