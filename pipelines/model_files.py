"""Weights behind an fsspec URL → a folder on this node, pulled once however many ask for it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from filelock import FileLock
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from pipelines.config import ModelConfig
from pipelines.local_files import write_file
from pipelines.references import is_uri
from pipelines.storage import Options, StorageError, open_filesystem, public_uri
from pipelines.storage_faults import fault_of
from uso_core.checkpoint import ModelSource

logger = logging.getLogger(__name__)
T = TypeVar("T")

_ATTEMPTS = 5
# What tells one version of a remote file from another, by filesystem.
_VERSION_KEYS = (
    "ETag",
    "etag",
    "md5Hash",
    "blob_id",
    "LastModified",
    "last_modified",
    "mtime",
    "created",
)


def localize(config: ModelConfig, options: Options) -> ModelSource:
    """The model's source with every fsspec URL replaced by a local folder that holds its files.

    Hub ids, `tiny` and local paths stay as they are. Safe to call from many processes of a node at
    once: one pulls, the others wait for it. Files that are there already, and have not changed at
    their source, are not pulled again; what a killed process left half done is.

    Args:
        config: `cache_dir` is where the folders go.
        options: fsspec options by protocol, secrets resolved.

    Raises:
        StorageError: there is nothing at a URL, or it could not be read.
    """
    cache = Path(config.cache_dir).expanduser() if config.cache_dir else _user_cache()

    def local(location: str) -> str:
        if location.startswith("file://"):
            return location[len("file://") :]
        if Path(location).exists() or not is_uri(location):
            return location
        return str(_pull(location, cache, options))

    return ModelSource(
        base=local(config.base),
        uso=local(config.uso),
        siglip=local(config.siglip),
        base_revision=config.base_revision,
        uso_revision=config.uso_revision,
        siglip_revision=config.siglip_revision,
    )


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "uso-batch"


def _pull(url: str, cache: Path, options: Options) -> Path:
    """Bring the folder (or the one file) at `url` below `cache`; returns where it is."""
    home = cache / hashlib.sha256(url.encode()).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "lock"):
        try:
            return _Pull(url, home, options).run()
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            reason = f"the weights could not be pulled: {type(error).__name__}: {error}"
            raise StorageError(public_uri(url), reason, fault) from error


class _Pull:
    """One pull of one URL, made while the lock is held."""

    def __init__(self, url: str, home: Path, options: Options) -> None:
        self._url = url
        self._home = home
        self._fs, path = open_filesystem(url, options)
        self._root = PurePosixPath(path.rstrip("/"))
        self._versions_file = home / "versions.json"
        self._versions: dict[str, str] = {}
        if self._versions_file.exists():
            self._versions = json.loads(self._versions_file.read_text(encoding="utf-8"))

    def run(self) -> Path:
        """Pull what is missing or has changed."""
        found: dict[str, dict[str, Any]] = _patiently(
            lambda: self._fs.find(str(self._root), detail=True)
        )
        if not found:
            raise StorageError(
                public_uri(self._url), "there is nothing here; check the URL", "not_found"
            )
        for remote, info in sorted(found.items()):
            self._pull_file(remote, info)
        return self._home / self._root.name

    def _pull_file(self, remote: str, info: Mapping[str, Any]) -> None:
        name = str(PurePosixPath(remote).relative_to(self._root.parent))
        target = self._home / name
        if not target.resolve().is_relative_to(self._home.resolve()):
            raise StorageError(
                public_uri(self._url), f"{name!r} would lead out of the cache folder"
            )
        version = _version(info)
        if self._versions.get(name) == version and _size(target) == info["size"]:
            return
        logger.info("weights_pull file=%s bytes=%d", name, info["size"])
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f"{target.name}.half")
        _patiently(lambda: self._fs.get_file(remote, str(half)))
        if _size(half) != info["size"]:
            reason = f"{name}: {_size(half)} bytes came of {info['size']}; try again"
            raise StorageError(public_uri(self._url), reason, "unavailable")
        half.replace(target)
        self._versions[name] = version
        write_file(self._versions_file, json.dumps(self._versions, indent=1).encode())


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def _version(info: Mapping[str, Any]) -> str:
    """The size and whatever else the store tells of a file's content."""
    return "|".join([str(info["size"]), *(str(info[key]) for key in _VERSION_KEYS if key in info)])


def _patiently(call: Callable[[], T]) -> T:
    retrying = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=20),
        retry=retry_if_exception(lambda error: fault_of(error) == "unavailable"),
        reraise=True,
    )
    return retrying(call)
