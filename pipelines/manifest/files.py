"""Which files a manifest consists of, in an order that does not depend on the machine."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from pipelines.config.inputs import ManifestConfig
from pipelines.errors import ManifestError, StorageError
from pipelines.manifest.source import Format, ManifestFile, patiently
from pipelines.storage.filesystems import open_filesystem
from pipelines.storage.urls import redact_uri

Options = Mapping[str, Mapping[str, Any]]

_ENDINGS: dict[Format, tuple[str, ...]] = {
    "parquet": (".parquet", ".pq", ".parq"),
    "jsonl": (".jsonl", ".ndjson"),
    "csv": (".csv",),
    "eval_json": (".json",),
}
_FORMAT_OF: dict[str, Format] = {
    ending: name for name, endings in _ENDINGS.items() for ending in endings
}
_FORMATS: tuple[Format, ...] = ("parquet", "jsonl", "csv", "eval_json")
_KNOWN = ", ".join(_FORMAT_OF)


def find_files(config: ManifestConfig, options: Options) -> list[ManifestFile]:
    """The files that `config.path` names, each once.

    Those of a list in its order; those of a glob or folder sorted by path. A folder is searched
    with its subfolders, leaving out names that start with `.` or `_`; with format `auto`, its
    Parquet files are taken, or where it has none its JSON Lines files, or else its CSV files (a
    folder's .json files are more likely to describe it); likewise of what a glob finds.
    A file at an http(s) URL is copied to a temporary file first.

    Args:
        config: the run's manifest section.
        options: fsspec options by protocol, secrets resolved.

    Raises:
        ManifestError: nothing is there, or it cannot be read.
    """
    if not config.paths:
        raise ManifestError("manifest.path", "the list is empty; name at least one file")
    found = (file for url in dict.fromkeys(config.paths) for file in _find(url, config, options))
    return list({(file.fs, file.path): file for file in found}.values())


def _find(url: str, config: ManifestConfig, options: Options) -> Sequence[ManifestFile]:
    try:
        fs, path = open_filesystem(url, options, client_retries=False)
    except StorageError as error:
        raise ManifestError(error.uri, error.reason) from error
    if url.startswith(("http://", "https://")):
        return [_download(url, fs, _format(url.partition("?")[0], config))]
    if _is_pattern(fs, path):
        return _choose(url, fs, list(_glob(url, fs, path)), _wanted(config, _FORMATS))
    info = patiently(redact_uri(url), lambda: fs.info(path))
    if info["type"] == "directory":
        return _choose(url, fs, list(_walk(url, fs, path)), _wanted(config, _FORMATS[:3]))
    return [_file(fs, info, _format(path, config))]


def _is_pattern(fs: AbstractFileSystem, path: str) -> bool:
    if isinstance(fs, LocalFileSystem) and Path(path).exists():
        return False
    return any(character in path for character in "*?[")


def _glob(url: str, fs: AbstractFileSystem, pattern: str) -> Iterator[Mapping[str, Any]]:
    hits = patiently(redact_uri(url), lambda: fs.glob(pattern, detail=True))
    hidden_wanted = PurePosixPath(pattern).name.startswith((".", "_"))
    for path, info in sorted(hits.items()):
        if info["type"] == "directory":
            yield from _walk(url, fs, path)
        elif hidden_wanted or not _is_hidden(PurePosixPath(path).name):
            yield info


def _walk(url: str, fs: AbstractFileSystem, folder: str) -> Iterator[Mapping[str, Any]]:
    hits = patiently(redact_uri(url), lambda: fs.find(folder, detail=True))
    root = folder.rstrip("/") + "/"
    for path, info in sorted(hits.items()):
        if info["type"] == "file" and not _is_hidden(path.removeprefix(root)):
            yield info


def _is_hidden(relative: str) -> bool:
    return any(part.startswith((".", "_")) for part in PurePosixPath(relative).parts)


def _wanted(config: ManifestConfig, formats: Sequence[Format]) -> Sequence[Format]:
    return formats if config.format == "auto" else (config.format,)


def _choose(
    url: str,
    fs: AbstractFileSystem,
    infos: Sequence[Mapping[str, Any]],
    formats: Sequence[Format],
) -> list[ManifestFile]:
    """The files of the first format that there are files of."""
    for name in formats:
        chosen = [info for info in infos if info["name"].lower().endswith(_ENDINGS[name])]
        if chosen:
            return [_file(fs, info, name) for info in chosen]
    wanted = ", ".join(ending for name in formats for ending in _ENDINGS[name])
    held = f"none of the {len(infos)} files there ends in" if infos else "no file there ends in"
    raise ManifestError(redact_uri(url), f"nothing to read: {held} {wanted}")


def _format(name: str, config: ManifestConfig) -> Format:
    if config.format != "auto":
        return config.format
    ending = PurePosixPath(name).suffix.lower()
    if ending not in _FORMAT_OF:
        raise ManifestError(
            redact_uri(name),
            f"its name does not tell its format; set manifest.format, or use one of {_KNOWN}",
        )
    return _FORMAT_OF[ending]


def _file(fs: AbstractFileSystem, info: Mapping[str, Any], kind: Format) -> ManifestFile:
    path = info["name"]
    url = path if isinstance(fs, LocalFileSystem) else fs.unstrip_protocol(path)
    return ManifestFile(
        uri=redact_uri(url),
        fs=fs,
        path=path,
        folder=url.rpartition("/")[0] + "/",
        format=kind,
        size=info["size"],
    )


class _TemporaryFolder:
    """A folder that goes when this object does, or when the process ends."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="uso-manifest-")
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def _download(url: str, fs: AbstractFileSystem, kind: Format) -> ManifestFile:
    # Not every web server answers ranges, and none promises the same file for a run of days.
    folder = _TemporaryFolder()
    copy = f"{folder.path}/manifest"
    patiently(redact_uri(url), lambda: fs.get_file(url, copy))
    return ManifestFile(
        uri=redact_uri(url),
        fs=LocalFileSystem(),
        path=copy,
        folder=url.partition("?")[0].rpartition("/")[0] + "/",
        format=kind,
        size=Path(copy).stat().st_size,
        holder=folder,
    )
