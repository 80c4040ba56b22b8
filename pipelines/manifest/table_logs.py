"""Refuses the data files of tables that keep a log: Delta Lake, Apache Iceberg and Apache Hudi.

The log says which files, and which rows in them, belong to the table. Read without it, the files
give removed rows and old versions of rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from fsspec import AbstractFileSystem

from pipelines.errors import ManifestError
from pipelines.manifest.source import READING
from pipelines.storage.filesystems import url_on
from pipelines.storage.stored_file import StoredFile
from pipelines.storage.urls import redact_uri

_THREADS = 16
_METADATA = re.compile(r"metadata/[^/]*\.metadata\.json(\.gz)?")
_HUGGING_FACE_PARTS = 3  # datasets/OWNER/NAME


class _Log(NamedTuple):
    """A table's log.

    Attributes:
        kind: the kind of the table.
        path: the path of the log below the folder of the table.
    """

    kind: str
    path: str


class TableLogs:
    """Looks for logs, in each folder once."""

    def __init__(self) -> None:
        self._logs: dict[tuple[AbstractFileSystem, str], _Log | None] = {}

    def check_listing(self, folder: str, files: Sequence[StoredFile]) -> None:
        """Refuse a folder that is in a table, is a table, or contains one.

        Args:
            folder: the path of the folder.
            files: all files below it.

        Raises:
            ManifestError: names the table and the way to export it.
        """
        for file in files:
            found = _log_in(file.path)
            if found is not None:
                raise _refused(file.fs, *found)
        if files:
            self._check(files[0].fs, _with_parents(folder))

    def check_files(self, files: Sequence[StoredFile]) -> None:
        """Refuse files in the folder of a table; raises as `check_listing` does."""
        folders: dict[AbstractFileSystem, dict[str, None]] = {}
        for file in files:
            parents = _with_parents(file.path.rpartition("/")[0])
            folders.setdefault(file.fs, {}).update(dict.fromkeys(parents))
        for fs, paths in folders.items():
            self._check(fs, paths)

    def _check(self, fs: AbstractFileSystem, folders: Iterable[str]) -> None:
        least = _least_parts(fs)
        able = [path for path in folders if len(list(filter(None, path.split("/")))) >= least]
        new = [path for path in able if (fs, path) not in self._logs]
        with ThreadPoolExecutor(_THREADS, "table-logs") as pool:
            for path, log in zip(new, pool.map(lambda path: _log_of(fs, path), new), strict=True):
                self._logs[fs, path] = log
        for path in able:
            log = self._logs[fs, path]
            if log is not None:
                raise _refused(fs, path, log)


def _with_parents(folder: str) -> Iterator[str]:
    names = folder.rstrip("/").split("/")
    return ("/".join(names[:count]) for count in range(len(names), 0, -1))


def _least_parts(fs: AbstractFileSystem) -> int:
    """Return the number of names in the shortest path that can be a folder."""
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    if "hf" in protocols:
        return _HUGGING_FACE_PARTS
    return 0 if {"file", "memory"}.intersection(protocols) else 1


def _log_in(path: str) -> tuple[str, _Log] | None:
    """Return the folder and the log of a table if `path` is a file of the log."""
    names = path.split("/")
    for number, name in enumerate(names[:-1]):
        if name == "_delta_log":
            return "/".join(names[:number]), _Log("Delta Lake", name)
        if name == ".hoodie":
            return "/".join(names[:number]), _Log("Hudi", name)
    log = "/".join(names[-2:])
    if _METADATA.fullmatch(log):
        return "/".join(names[:-2]), _Log("Iceberg", log)
    return None


def _log_of(fs: AbstractFileSystem, folder: str) -> _Log | None:
    uri = redact_uri(url_on(fs, folder))
    for name, kind in (("_delta_log", "Delta Lake"), (".hoodie", "Hudi")):
        if READING.exists(uri, partial(fs.info, f"{folder}/{name}")):
            return _Log(kind, name)
    found: list[str] = []
    READING.exists(uri, lambda: found.extend(fs.ls(f"{folder}/metadata", detail=False)))
    versions = ["/".join(path.split("/")[-2:]) for path in found]
    versions = [path for path in versions if _METADATA.fullmatch(path)]
    return _Log("Iceberg", max(versions, key=_version)) if versions else None


def _version(log: str) -> tuple[int, str]:
    number = re.search(r"\d+", log)
    return (int(number[0]) if number else -1, log)


def _refused(fs: AbstractFileSystem, folder: str, log: _Log) -> ManifestError:
    url = redact_uri(url_on(fs, folder))
    return ManifestError(
        url,
        f"is a table of {log.kind}: only its log, {log.path}, says which rows of its files are "
        f"valid, and that log is not read here. Export the table and name the new file: "
        f"{_export(log, url)}",
    )


def _export(log: _Log, url: str) -> str:
    """Return the way to export a table to one Parquet file, or to a folder of them."""
    if log.kind == "Hudi":
        return f"spark.read.format('hudi').load({url!r}).write.parquet('manifest') in PySpark"
    is_delta = log.kind == "Delta Lake"
    text = (url if is_delta else f"{url}/{log.path}").replace("'", "''")
    scan = f"{'delta' if is_delta else 'iceberg'}_scan('{text}')"
    return f"duckdb -c \"COPY (FROM {scan}) TO 'manifest.parquet'\""
