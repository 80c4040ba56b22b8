"""Copies weights at an fsspec URL to this node, once for all processes that want them."""

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
from typing import Any

from filelock import FileLock

from pipelines.config.model import ModelConfig
from pipelines.errors import Fault, StorageError
from pipelines.storage.causes import cause_of
from pipelines.storage.faults import fault_of
from pipelines.storage.files import Place
from pipelines.storage.filesystems import Options
from pipelines.storage.local_files import write_file
from pipelines.storage.patience import Patience
from pipelines.storage.reading import Reading
from pipelines.storage.stored_file import StoredFile
from pipelines.storage.urls import is_uri, redact_uri
from uso_core.families import family_in, family_of
from uso_core.loading.component_files import ComponentFiles, ComponentName, FileListing
from uso_core.loading.lora_identity import settings_beside
from uso_core.loading.source import LoraFile, ModelSource
from uso_core.local_path import local_path

logger = logging.getLogger(__name__)
Find = Callable[[FileListing], Mapping[ComponentName, ComponentFiles]]
Fetch = Callable[[StoredFile, Path], None]
"""Creates a local file, of the same size, from a stored one."""

_PATIENCE = Patience(seconds=300, longest_wait_s=20)
_STREAMS = 4
_SMALL_BYTES = 16 * 2**20  # settings and vocabularies, which are always pulled


def localize(config: ModelConfig, options: Options) -> ModelSource:
    """Return the model's source with a local copy in place of every fsspec URL.

    Hub ids, `tiny` and local paths stay unchanged. Of a folder at a URL, only the weights that the
    model needs are pulled. Safe to call from many processes of a node at once: one pulls, the
    others wait for it. A file is pulled if it is missing here, incomplete because a process was
    killed, or changed at its source.

    Args:
        config: `cache_dir` is the parent of the local folders.
        options: fsspec options by protocol, secrets resolved.

    Raises:
        StorageError: there is nothing at a URL, or it could not be read.
        CheckpointError: a file that the model needs is not at the URL.
    """
    return localize_with(fetch_whole, config, options, cache_folder(config))


def localize_with(fetch: Fetch, config: ModelConfig, options: Options, cache: Path) -> ModelSource:
    """Do as `localize`, with `fetch` to create the files, in folders below `cache`."""

    def local(location: str, take: Callable[[_Pull], Path]) -> str:
        if location.startswith("file://"):
            return location.removeprefix("file://")
        if os.path.exists(location) or not is_uri(location):
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
    """Return this node's folder for weights: the configured one, else one in the user's cache."""
    if config.cache_dir:
        return local_path(config.cache_dir)
    return local_path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "uso-batch"


def fetch_whole(file: StoredFile, target: Path) -> None:
    """Copy all of a file."""
    logger.info("weights_pull uri=%s bytes=%d", file.uri, file.size)
    file.copy_to(target)


def _pulled(
    url: str, take: Callable[[_Pull], Path], cache: Path, options: Options, fetch: Fetch
) -> Path:
    """Return the path below `cache` to which `take` has brought the content of `url`."""
    home = cache / hashlib.sha256(url.encode()).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "lock"):
        try:
            return take(_Pull(url, home, options, fetch))
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            raise _not_pulled(url, fault, error) from error


def _not_pulled(url: str, fault: Fault, error: Exception) -> StorageError:
    reason = f"the weights could not be pulled: {cause_of(error)}"
    return StorageError(redact_uri(url), reason, fault)


def _on_wait(uri: str, error: BaseException) -> None:
    logger.warning("weights_unavailable uri=%s cause=%s", uri, cause_of(error))


class _Pull:
    """One pull of one URL, made while the lock is held."""

    def __init__(self, url: str, home: Path, options: Options, fetch: Fetch) -> None:
        self._fetch = fetch
        self._url, self._options = url, options
        self._place = self._place_at(url)
        self._name = PurePosixPath(self._place.path).name
        self._here = home / self._name
        self._versions_file = home / "versions.json"
        self._versions: dict[str, str] = {}
        if self._versions_file.exists():
            self._versions = json.loads(self._versions_file.read_text(encoding="utf-8"))
        self._noting = threading.Lock()

    def file(self) -> Path:
        """Pull the file at the URL and its settings, if they are missing or have changed."""
        self._bring_one(self._place, self._here)
        if settings := settings_beside(self._url):
            place = self._place_at(settings)
            self._bring_one(place, self._here.with_name(PurePosixPath(place.path).name))
        return self._here

    def folder(self, find: Find) -> Path:
        """Pull the files that are missing or have changed of the folder at the URL."""
        files = self._files()
        components = find(FileListing(self._place.uri, frozenset(files))).values()
        needed = {name for component in components for name in component.names}
        wanted = [name for name in files if name in needed or files[name].size <= _SMALL_BYTES]
        with ThreadPoolExecutor(_STREAMS) as pool:
            list(pool.map(lambda name: self._pull_file(name, files[name]), wanted))
        return self._here

    def _files(self) -> dict[str, StoredFile]:
        """Return the files at the URL by their path below it."""
        files = self._place.below()
        if not files:
            raise StorageError(self._place.uri, "there is nothing here; check the URL", "not_found")
        if not files[0].inside:
            raise StorageError(self._place.uri, "this is a file; give the folder that it is in")
        return {file.inside: file for file in files}

    def _place_at(self, url: str) -> Place:
        # Every fault is reported for the URL that was configured.
        reading = Reading(
            lambda _, fault, error: _not_pulled(url, fault, error), _PATIENCE, _on_wait
        )
        return Place(url, self._options, reading)

    def _bring_one(self, place: Place, target: Path) -> None:
        file = place.file()
        if file is None:
            raise StorageError(place.uri, "this is a folder; give the file")
        self._bring(target.name, file, target)

    def _pull_file(self, name: str, file: StoredFile) -> None:
        target = self._here / name
        if not target.resolve().is_relative_to(self._here.resolve()):
            raise StorageError(self._place.uri, f"{name!r} would lead out of the cache folder")
        self._bring(name, file, target)

    def _bring(self, name: str, file: StoredFile, target: Path) -> None:
        version = "|".join(filter(None, [str(file.size), file.version]))
        if self._has(name, version) and _size(target) == file.size:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f"{target.name}.half")
        self._fetch(file, half)
        if _size(half) != file.size:
            reason = f"{name}: received {_size(half)} of {file.size} bytes; try again"
            raise StorageError(self._place.uri, reason, "unavailable")
        half.replace(target)
        with self._noting:
            self._versions[name] = version
            write_file(self._versions_file, json.dumps(self._versions, indent=1).encode())

    def _has(self, name: str, version: str) -> bool:
        """Return True if this version was pulled; 0.1.0 noted more marks after it."""
        known = self._versions.get(name, "")
        return known == version or known.startswith(f"{version}|")


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None
