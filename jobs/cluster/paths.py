"""Local paths in a configuration, for a cluster whose nodes have their own disks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipelines.config.output import OutputConfig
from pipelines.config.schema import RunConfig
from pipelines.config.variables import is_variable
from pipelines.storage.urls import is_uri
from uso_core.families import family_named
from uso_core.loading.source import ModelSource

_PATH_BEGINNINGS = ("/", "./", "../", "~")
_FILE = "file://"


@dataclass(frozen=True, slots=True)
class LocalPath:
    """A path on the disk of a machine, or on a filesystem mounted there.

    Attributes:
        key: the configuration key that holds it.
        path: the path as written there.
    """

    key: str
    path: str

    @property
    def relative(self) -> bool:
        """True if it depends on the folder in which the command runs."""
        return not os.path.isabs(os.path.expanduser(self.path.removeprefix(_FILE)))


def local_paths(config: RunConfig) -> list[LocalPath]:
    """Return the local paths in a configuration, which the nodes of a cluster must see, too."""
    found: list[LocalPath] = []

    def note(key: str, location: str) -> str:
        found.append(LocalPath(key, location))
        return location

    _map_paths(config, note)
    return found


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """Return `config` with absolute local paths, because a Ray job runs in its own folder."""
    return _map_paths(config, lambda _key, location: _absolute(location))


def _absolute(location: str) -> str:
    return os.path.abspath(os.path.expanduser(location.removeprefix(_FILE)))


def _map_paths(config: RunConfig, change: Callable[[str, str], str]) -> RunConfig:
    """Return `config` with `change(key, path)` in place of each local path."""

    def changed(key: str, location: str) -> str:
        return change(key, location) if _is_path(location) else location

    manifest, fetch = config.manifest, config.fetch
    new_paths = [changed("manifest.path", path) for path in manifest.paths]
    manifest_update: dict[str, object] = {
        "path": new_paths[0] if isinstance(manifest.path, str) else new_paths
    }
    if manifest.ids is not None:
        manifest_update["ids"] = changed("manifest.ids", manifest.ids)
    if manifest.base_uri is not None:
        manifest_update["base_uri"] = changed("manifest.base_uri", manifest.base_uri)
    if manifest.style_library is not None:
        library = changed("manifest.style_library", manifest.style_library)
        manifest_update["style_library"] = library
    sections: dict[str, object] = {
        "manifest": manifest.model_copy(update=manifest_update),
        "output": _output(config.output, changed),
    }
    model_update: dict[str, object] = dict(_model_paths(config, change))
    if config.model.loras:
        model_update["loras"] = [
            lora.model_copy(update={"path": changed("model.loras", lora.path)})
            for lora in config.model.loras
        ]
    if model_update:
        sections["model"] = config.model.model_copy(update=model_update)
    if fetch.local_roots:
        roots = [changed("fetch.local_roots", root) for root in fetch.local_roots]
        sections["fetch"] = fetch.model_copy(update={"local_roots": roots})
    return config.model_copy(update=sections)


def _output(output: OutputConfig, changed: Callable[[str, str], str]) -> OutputConfig:
    update: dict[str, object] = {"path": changed("output.path", output.path)}
    provenance = output.provenance
    if provenance.c2pa:
        named = {"certificate": provenance.certificate, "key": provenance.key}
        files = {
            name: changed(f"output.provenance.{name}", path)
            for name, path in named.items()
            if path is not None and not is_variable(path)
        }
        update["provenance"] = provenance.model_copy(update=files)
    return output.model_copy(update=update)


def _model_paths(config: RunConfig, change: Callable[[str, str], str]) -> Iterator[tuple[str, str]]:
    """Yield the changed paths of the weights, by field; hub ids, `demo`, `tiny` are not paths."""
    for name in ModelSource.WEIGHTS:
        location: str = getattr(config.model, name)
        written = location.startswith((_FILE, *_PATH_BEGINNINGS))
        named = is_uri(location) or family_named(location).owns_name(location)
        if written or (not named and os.path.exists(location)):
            yield name, change(f"model.{name}", location)


def _is_path(location: str) -> bool:
    return location.startswith(_FILE) or not is_uri(location)
