"""Checks the names of `output.name` before a run: no two rows may share one, and none may move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt

from pipelines.errors import ConfigError
from pipelines.image_names import path_in_output
from pipelines.keys.column import Column
from pipelines.keys.index import UInt64, halves_of, row_keys
from pipelines.ledger.records import Records, completed
from pipelines.manifest.manifest import Manifest
from pipelines.name_template import folded
from pipelines.rows import ManifestRow

_SHOWN = 3

OnRows = Callable[[int], None]
"""Called with the number of rows read since the last call."""


def check_names(
    manifest: Manifest,
    extension: str,
    records: Records | None = None,
    on_rows: OnRows = lambda _: None,
) -> None:
    """Check the names of all rows; reads the manifest once, and takes 32 bytes for each image.

    A completed row keeps the path that its record has: if it had another one now, the output would
    hold two copies. So the template, and the columns in it, stay as they are once there are images.

    Args:
        manifest: the rows, with names.
        extension: ending of the image files, without a dot.
        records: the records of the output; None: there is no output yet.
        on_rows: shows progress.

    Raises:
        ConfigError: two rows have the same name, or a recorded image has another one.
        LedgerError, ManifestError, StorageError: the rows or records cannot be read.
    """
    names = _Names(manifest, extension, on_rows)
    shared = names.shared()
    if len(shared):
        _refuse_shared(manifest, extension, shared)
    if records is not None:
        _check_records(names, manifest, records)


class _Names:
    """The paths of all rows as hashes, `[images]`, sorted by path, and sorted by row."""

    def __init__(self, manifest: Manifest, extension: str, on_rows: OnRows) -> None:
        paths, rows = Column(np.uint64), Column(np.uint64)
        for batch in manifest.batches():
            valid = [entry.row for entry in batch.entries if isinstance(entry.row, ManifestRow)]
            own = [row.paths(extension, row.parameters.num_images) for row in valid]
            paths.extend(_hashes(map(folded, chain.from_iterable(own))))
            ids = _hashes(row.id for row in valid)
            rows.extend(np.repeat(ids, [len(each) for each in own]))
            on_rows(len(batch.entries))
        order = np.argsort(paths.values, kind="stable")
        self.paths, self.owners = paths.values[order], rows.values[order]
        self._by_row = np.argsort(self.owners, kind="stable")
        self._rows = self.owners[self._by_row]

    def shared(self) -> UInt64:
        """Return the hashes of paths that two images have."""
        return np.unique(self.paths[1:][self.paths[1:] == self.paths[:-1]])

    def has_row(self, rows: UInt64) -> npt.NDArray[np.bool_]:
        """Return for each row whether it is in the manifest, `[n]`."""
        return _found(self._rows, rows) >= 0

    def owner_of(self, path: np.uint64) -> np.uint64 | None:
        """Return the row that a path belongs to."""
        at = int(_found(self.paths, np.array([path]))[0])
        return None if at < 0 else np.uint64(self.owners[at])


def _found(known: UInt64, wanted: UInt64) -> npt.NDArray[np.int64]:
    """Return the first place of each wanted value in sorted ones, `[n]`; -1 if it is absent."""
    if not len(known):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[at] == wanted, at, -1)


def _refuse_shared(manifest: Manifest, extension: str, shared: UInt64) -> None:
    """Read the manifest again for the ids of rows that share a path.

    Raises:
        ConfigError: there are such rows; no hash of different paths is the same by chance.
    """
    wanted = set(shared.tolist())
    first: dict[str, str] = {}
    found: list[str] = []
    for row_id, path in _paths(manifest, extension):
        key = folded(path)
        if int(_hashes([key])[0]) not in wanted:
            continue
        other = first.setdefault(key, row_id)
        if other != row_id or key in found:
            found.append(f"rows {other!r} and {row_id!r} both get {path!r}")
    if found:
        more = f"\n  … and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
        raise ConfigError(
            "output.name: two rows must not share a name; add {id}, {index} or a column that "
            "tells them apart:\n  " + "\n  ".join(found[:_SHOWN]) + more
        )


def _paths(manifest: Manifest, extension: str) -> Iterator[tuple[str, str]]:
    for entry in manifest.entries():
        row = entry.row
        if isinstance(row, ManifestRow):
            for path in row.paths(extension, row.parameters.num_images):
                yield row.id, path


def _check_records(names: _Names, manifest: Manifest, records: Records) -> None:
    for batch in records.batches(("id", "status", "outputs")):
        rows = completed(batch)
        ids, outputs = rows["id"].to_pylist(), rows["outputs"].to_pylist()
        keys = _hashes(ids)
        known = names.has_row(keys)
        for row_id, uris, key, is_row in zip(ids, outputs, keys, known.tolist(), strict=True):
            if is_row or not manifest.is_whole:
                _check_record(names, row_id, uris, key, is_row=is_row)


def _check_record(
    names: _Names, row_id: str, uris: list[str], key: np.uint64, *, is_row: bool
) -> None:
    """Check the recorded images of a row of the manifest, or of one that it leaves unread.

    Raises:
        ConfigError: the row's images have other names now, or another row gets one of them.
    """
    for uri in uris:
        path = path_in_output(uri) or uri
        owner = names.owner_of(_hashes([folded(path)])[0])
        if is_row and owner != key:
            raise ConfigError(
                f"output.name: row {row_id!r} is recorded with the image {path!r}, and now gets "
                "another name, so the output would hold both. Give the template, the values and "
                "the format that it was made with, or another output.path"
            )
        if not is_row and owner is not None:
            raise ConfigError(
                f"output.name: a row of this manifest gets {path!r}, the recorded image of row "
                f"{row_id!r}, which this run does not read; make names differ, or give another "
                "output.path"
            )


def _hashes(texts: Iterator[str] | list[str]) -> UInt64:
    return halves_of(row_keys(text.encode(errors="surrogatepass") for text in texts))[0]
