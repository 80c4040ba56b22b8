"""Finds the files of a manifest, in an order that does not depend on the machine."""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath

from fsspec.implementations.local import LocalFileSystem

from pipelines.config.inputs import ManifestConfig
from pipelines.errors import ManifestError, StorageError
from pipelines.fields.table import NUMBER_NAMES
from pipelines.manifest.columns import input_columns
from pipelines.manifest.csv_numbers import with_numbers
from pipelines.manifest.hive import is_partition, partitions_of, with_partitions
from pipelines.manifest.other_files import advice_for
from pipelines.manifest.source import READING, ManifestFile
from pipelines.manifest.table import Table
from pipelines.manifest.table_formats import FORMATS, open_table
from pipelines.manifest.table_logs import TableLogs
from pipelines.storage.files import Place
from pipelines.storage.filesystems import Options
from pipelines.storage.output_files import without_outputs
from pipelines.storage.reading import Reading
from pipelines.storage.stored_file import StoredFile
from pipelines.storage.urls import redact_uri
from uso_core.local_path import tried_path

logger = logging.getLogger(__name__)

_OPENING_THREADS = 16


def open_tables(
    config: ManifestConfig, options: Options, finding: Reading = READING
) -> list[Table]:
    """Find the tables that `config.path` names and their columns; no row is checked yet.

    Of Parquet files only the footers are read, JSON is read once, and CSV once if columns of it are
    copied to the records, else its first lines.

    Args:
        config: the run's manifest section.
        options: fsspec options by protocol, secrets resolved.
        finding: the handling of faults until the files are found.

    Raises:
        ManifestError: nothing is there, or a file is unreadable or not in its format.
    """
    limit = int(config.max_row_mb * 1e6)
    files = [replace(file, max_row_bytes=limit) for file in find_files(config, options, finding)]
    with ThreadPoolExecutor(_OPENING_THREADS, "manifest-survey") as pool:
        tables = list(pool.map(open_table, files))
    inputs = input_columns(config)
    text = {theirs for theirs, ours in inputs.items() if ours not in NUMBER_NAMES}
    return with_partitions(with_numbers(tables, config), files, text)


def find_files(
    config: ManifestConfig, options: Options, finding: Reading = READING
) -> list[ManifestFile]:
    """Find the files that `config.path` names, each once.

    The places of a list keep their order; the files of a glob or folder are sorted by path. A
    folder is searched with its subfolders, except names that start with `.` or `_`, unless it is
    the `_NAME=VALUE` of a column. With format `auto`, a folder or glob yields its Parquet files; if
    it has none, its JSON Lines files; if it has none of these either, its CSV files (a folder's
    .json files are more likely to describe it, so only a glob yields them). A file at an http(s)
    URL is copied to a temporary file first. A name that has the characters of a glob and exists is
    a name. The output of a run that a folder or glob holds is left out, with a warning.

    Args:
        config: the run's manifest section.
        options: fsspec options by protocol, secrets resolved.
        finding: the handling of faults until the files are found.

    Raises:
        ManifestError: nothing is there, it cannot be read, or it is in a table with a log.
    """
    if not config.paths:
        raise ManifestError("manifest.path", "the list is empty; name at least one file")
    logs = TableLogs()
    places = [(url, _place(url, options, finding)) for url in dict.fromkeys(config.paths)]
    found = (file for url, place in places for file in _find(url, place, config, logs))
    return list({(file.data.fs, file.data.path): file for file in found}.values())


def _place(url: str, options: Options, finding: Reading) -> Place:
    try:
        return Place(url, options, finding)
    except StorageError as error:
        raise ManifestError(error.uri, error.reason) from error


def _find(
    url: str, place: Place, config: ManifestConfig, logs: TableLogs
) -> Sequence[ManifestFile]:
    if url.startswith(("http://", "https://")):
        name = url.partition("?")[0]
        return [_download(name, place, _format(name, config), config)]
    found = place.find()
    if found.kind == "folder":
        logs.check_listing(found.folder, found.files)
    if found.kind == "file":
        chosen = [_file(file, _format(place.path, config)) for file in found.files]
    else:
        kept, left_out = without_outputs(found.files, place.path)
        for folder, count in left_out.items():
            logger.warning("manifest_leaves_out output=%s files=%d", redact_uri(folder), count)
        files = _visible(kept, place)
        chosen = _choose(place, files, _wanted(config, found.kind, files))
    if config.hive_partitioning:
        chosen = [
            replace(file, partitions=partitions_of(file.data.path, found.folder)) for file in chosen
        ]
    if found.kind != "folder":
        logs.check_files([file.data for file in chosen])
    return chosen


def _visible(files: Sequence[StoredFile], place: Place) -> list[StoredFile]:
    """Leave out hidden files, except matches of a glob that asks for them."""
    hidden_wanted = _is_hidden(PurePosixPath(place.path).name)
    return [
        file
        for file in files
        if not _is_hidden(file.inside or PurePosixPath(file.path).name)
        or (hidden_wanted and not file.inside)
    ]


def _is_hidden(relative: str) -> bool:
    *folders, name = PurePosixPath(relative).parts or ("",)  # of the root of a filesystem
    hidden = [part for part in folders if part.startswith(".") or _is_private(part)]
    return bool(hidden) or name.startswith((".", "_"))


def _is_private(folder: str) -> bool:
    return folder.startswith("_") and not is_partition(folder)


def _wanted(
    config: ManifestConfig, kind: str, files: Sequence[StoredFile]
) -> list[tuple[str, tuple[str, ...]]]:
    """Return the formats to look for, in order, each with the endings of its files."""
    if config.format != "auto":
        it = FORMATS[config.format]
        return [(config.format, it.endings), (config.format, it.other_endings)]
    # Spark and DuckDB give JSON Lines the ending .json. In the folders of columns, they are rows.
    every = kind == "glob" or any(map(is_partition, _folders(files)))
    return [(name, it.endings) for name, it in FORMATS.items() if every or it.searched_in_folders]


def _folders(files: Sequence[StoredFile]) -> Iterator[str]:
    return (folder for file in files for folder in PurePosixPath(file.inside).parts[:-1])


def _choose(
    place: Place,
    files: Sequence[StoredFile],
    formats: Sequence[tuple[str, tuple[str, ...]]],
) -> list[ManifestFile]:
    """Take the files of the first format that has any."""
    for name, endings in formats:
        chosen = [file for file in files if file.path.lower().endswith(endings)]
        if chosen:
            if len({name for name, _ in formats}) > 1:  # else, the format is the user's choice
                _warn_of_others(place, files, name)
            return [_file(file, name) for file in chosen]
    wanted = ", ".join(ending for _, endings in formats for ending in endings)
    held = f"none of the {len(files)} files there ends in" if files else "no file there ends in"
    reason = f"nothing to read: {held} {wanted}{tried_path(place.uri)}"
    if any(file.path.lower().endswith(".json") for file in files):
        reason += "; for JSON Lines in .json files, set manifest.format: jsonl"
    advice = next(filter(None, (advice_for(file.path) for file in files)), None)
    if advice is not None:
        example = next(file.path for file in files if advice_for(file.path))
        reason += f"; {PurePosixPath(example).name} {advice}"
    raise ManifestError(place.uri, reason)


def _warn_of_others(place: Place, files: Sequence[StoredFile], chosen: str) -> None:
    """Tell of tables in other formats, which are not read."""
    formats = [it for name, it in FORMATS.items() if name != chosen and it.searched_in_folders]
    endings = tuple(ending for it in formats for ending in it.endings)
    others = [file for file in files if file.path.lower().endswith(endings)]
    if others:
        logger.warning(
            "manifest_leaves_out place=%s files=%d, such as %s: no other format is read beside "
            "%s; list files in manifest.path to read them too",
            place.uri,
            len(others),
            PurePosixPath(others[0].path).name,
            chosen,
        )


def _format(name: str, config: ManifestConfig) -> str:
    if config.format != "auto":
        return config.format
    of_ending = {ending: name for name, it in FORMATS.items() for ending in it.endings}
    ending = PurePosixPath(name).suffix.lower()
    advice = advice_for(name)
    if ending not in of_ending and advice is not None:
        raise ManifestError(redact_uri(name), advice)
    if ending not in of_ending:
        raise ManifestError(
            redact_uri(name),
            "its name does not tell its format; set manifest.format, or use one of "
            + ", ".join(of_ending),
        )
    return of_ending[ending]


def _file(file: StoredFile, format_name: str) -> ManifestFile:
    file = replace(file, reading=READING)
    return ManifestFile(file, folder=file.url.rpartition("/")[0] + "/", format=format_name)


class _TemporaryFolder:
    """A folder that is removed with this object, or when the process ends."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="uso-manifest-")
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def _download(url: str, place: Place, format_name: str, config: ManifestConfig) -> ManifestFile:
    # Not every web server answers ranges, and none promises the same file for a run of days.
    folder = _TemporaryFolder()
    copy = Path(folder.path) / "manifest"
    place.copy_to(copy)
    data = StoredFile(
        uri=place.uri,
        fs=LocalFileSystem(),
        path=str(copy),
        size=copy.stat().st_size,
        version="",
        reading=READING,
    )
    base = url.rpartition("/")[0]
    partitions = partitions_of(url, base) if config.hive_partitioning else ()
    return ManifestFile(data, f"{base}/", format_name, partitions, holder=folder)
