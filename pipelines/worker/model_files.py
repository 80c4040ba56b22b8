"""Weights at an fsspec URL → a copy on this node, pulled once however many ask for it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar

from filelock import FileLock
from fsspec import AbstractFileSystem
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from pipelines.config.model import ModelConfig
from pipelines.errors import StorageError
from pipelines.storage.faults import fault_of
from pipelines.storage.filesystems import Options, open_filesystem
from pipelines.storage.local_files import write_file
from pipelines.storage.urls import is_uri, redact_uri
from uso_core.families import family_in, family_of
from uso_core.loading.component_files import ComponentFiles, ComponentName, FileListing
from uso_core.loading.source import LoraFile, ModelSource

logger = logging.getLogger(__name__)
T = TypeVar("T")
Find = Callable[[FileListing], Mapping[ComponentName, ComponentFiles]]

_ATTEMPTS = 5
_STREAMS = 4
_SMALL_BYTES = 16 * 2**20  # settings and vocabularies: pulled without asking what they are for
# What tells one version of a remote file from another, by filesystem.
_VERSION_KEYS = (
    *("ETag", "etag", "md5Hash", "blob_id"),
    *("LastModified", "last_modified", "mtime", "created"),
)


class Fetch(Protocol):
    """Brings one file here."""

    def __call__(self, fs: AbstractFileSystem, remote: str, size: int, target: Path) -> None:
        """Make `target`, of `size` bytes, out of `remote` on `fs`."""


def localize(config: ModelConfig, options: Options) -> ModelSource:
    """The model's source with a local copy in place of every fsspec URL.

    Hub ids, `tiny` and local paths stay as they are. Of a folder at a URL, only the weights that
    the model needs are pulled. Safe to call from many processes of a node at once: one pulls, the
    others wait for it. Files that are there already, and have not changed at their source, are not
    pulled again; what a killed process left half done is.

    Args:
        config: `cache_dir` is where the folders go.
        options: fsspec options by protocol, secrets resolved.

    Raises:
        StorageError: there is nothing at a URL, or it could not be read.
        CheckpointError: a file that the model needs is not at the URL.
    """
    return localize_with(fetch_whole, config, options, cache_folder(config))


def localize_with(fetch: Fetch, config: ModelConfig, options: Options, cache: Path) -> ModelSource:
    """As `localize`, with folders below `cache` whose files `fetch` has made."""

    def local(location: str, take: Callable[[_Pull], Path]) -> str:
        if location.startswith("file://"):
            return location.removeprefix("file://")
        if Path(location).exists() or not is_uri(location):
            return location
        return str(_pulled(location, take, cache, options, fetch))

    def lora(file: LoraFile) -> LoraFile:
        return replace(file, path=local(file.path, _Pull.file))

    source = config.source
    base = local(source.base, lambda pull: pull.folder(_base_files))
    source = replace(source, base=base, loras=tuple(map(lora, source.loras)))
    others = [name for name in ModelSource.WEIGHTS if name != "base"]
    if not any(is_uri(getattr(source, name)) for name in others):
        return source
    family = family_of(source)

    def local_folder(name: str) -> str:
        return local(getattr(source, name), lambda pull: pull.folder(partial(family.files, name)))

    here: dict[str, Any] = {name: local_folder(name) for name in others}
    return replace(source, **here)


def _base_files(listing: FileListing) -> Mapping[ComponentName, ComponentFiles]:
    return family_in(listing).files("base", listing)


def cache_folder(config: ModelConfig) -> Path:
    """Where this node keeps what the model needs: the configured folder, else the user's cache."""
    if config.cache_dir:
        return Path(config.cache_dir).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "uso-batch"


def fetch_whole(fs: AbstractFileSystem, remote: str, size: int, target: Path) -> None:
    """Copy a file, all of it."""
    logger.info("weights_pull uri=%s bytes=%d", redact_uri(fs.unstrip_protocol(remote)), size)
    patiently(lambda: fs.get_file(remote, str(target)))


def patiently(call: Callable[[], T]) -> T:
    """The result of `call`, tried again where its fault may pass."""
    retrying = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=20),
        retry=retry_if_exception(lambda error: fault_of(error) == "unavailable"),
        reraise=True,
    )
    return retrying(call)


def _pulled(
    url: str, take: Callable[[_Pull], Path], cache: Path, options: Options, fetch: Fetch
) -> Path:
    """Where what is at `url` is below `cache`, under its own name, once `take` has brought it."""
    home = cache / hashlib.sha256(url.encode()).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "lock"):
        try:
            return take(_Pull(url, home, options, fetch))
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            reason = f"the weights could not be pulled: {type(error).__name__}: {error}"
            raise StorageError(redact_uri(url), reason, fault) from error


class _Pull:
    """One pull of one URL, made while the lock is held."""

    def __init__(self, url: str, home: Path, options: Options, fetch: Fetch) -> None:
        self._url = redact_uri(url)
        self._fetch = fetch
        self._fs, path = open_filesystem(url, options)
        self._root = PurePosixPath(path.rstrip("/"))
        self._here = home / self._root.name
        self._versions_file = home / "versions.json"
        self._versions: dict[str, str] = {}
        if self._versions_file.exists():
            self._versions = json.loads(self._versions_file.read_text(encoding="utf-8"))
        self._noting = threading.Lock()

    def file(self) -> Path:
        """Pull the file at the URL, if it is missing or has changed."""
        info = patiently(lambda: self._fs.info(str(self._root)))
        if info["type"] == "directory":
            raise StorageError(self._url, "this is a folder; give the file")
        self._bring(self._root.name, self._root, info, self._here)
        return self._here

    def folder(self, find: Find) -> Path:
        """Pull what is missing or has changed of the folder at the URL."""
        infos = self._files()
        components = find(FileListing(self._url, frozenset(infos))).values()
        needed = {name for component in components for name in component.names}
        wanted = [name for name in infos if name in needed or infos[name]["size"] <= _SMALL_BYTES]
        with ThreadPoolExecutor(_STREAMS) as pool:
            list(pool.map(lambda name: self._pull_file(name, infos[name]), wanted))
        return self._here

    def _files(self) -> dict[str, Mapping[str, Any]]:
        """Relative name → fsspec's facts of each file at the URL."""
        found: dict[str, Mapping[str, Any]] = patiently(
            lambda: self._fs.find(str(self._root), detail=True)
        )
        if not found:
            raise StorageError(self._url, "there is nothing here; check the URL", "not_found")
        if len(found) == 1 and PurePosixPath(next(iter(found))) == self._root:
            raise StorageError(self._url, "this is a file; give the folder that it is in")
        return {
            str(PurePosixPath(remote).relative_to(self._root)): info
            for remote, info in sorted(found.items())
        }

    def _pull_file(self, name: str, info: Mapping[str, Any]) -> None:
        target = self._here / name
        if not target.resolve().is_relative_to(self._here.resolve()):
            raise StorageError(self._url, f"{name!r} would lead out of the cache folder")
        self._bring(name, self._root / name, info, target)

    def _bring(
        self, name: str, remote: PurePosixPath, info: Mapping[str, Any], target: Path
    ) -> None:
        version = _version(info)
        if self._versions.get(name) == version and _size(target) == info["size"]:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f"{target.name}.half")
        self._fetch(self._fs, str(remote), info["size"], half)
        if _size(half) != info["size"]:
            reason = f"{name}: {_size(half)} bytes came of {info['size']}; try again"
            raise StorageError(self._url, reason, "unavailable")
        half.replace(target)
        with self._noting:
            self._versions[name] = version
            write_file(self._versions_file, json.dumps(self._versions, indent=1).encode())


def _version(info: Mapping[str, Any]) -> str:
    """The size and whatever else the store tells of a file's content."""
    return "|".join([str(info["size"]), *(str(info[key]) for key in _VERSION_KEYS if key in info)])


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None
