"""The zip file that is sent to a cluster: the three packages and the configuration."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import yaml
from packaging.requirements import Requirement

from pipelines.config.schema import RunConfig
from pipelines.worker.safety import CHECKERS
from pipelines.worker.signature import EXTRA as SIGNING_EXTRA
from uso_core.loading.demo import DEMO

PACKAGES = ("uso_core", "pipelines", "jobs")
CONFIG_FILE = "run.yaml"

_DISTRIBUTION = "uso-batch"
_DATA = (
    *(f"{package}/py.typed" for package in PACKAGES),
    *("uso_core/data/*", "uso_core/data/*/*", "uso_core/data/*/*/*"),
    *("pipelines/tools/*/templates/*", "pipelines/tools/*/static/*"),
    "jobs/serve/page/*",
)
"""The other files of the wheel, as in pyproject.toml."""
_DEMO_MODEL = ("uso_core/data/demo/",)  # 12 MB, for those who use it
_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal content gives equal bytes, which Ray uploads once
_NOT_FROM_PIP = frozenset({"ray"})  # a cluster has its own version
_EXTRA_OF = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "azure", "az": "azure"}


@dataclass(frozen=True, slots=True)
class Package:
    """A packed run.

    Attributes:
        path: the zip file.
        num_files: the number of files in it.
    """

    path: Path
    num_files: int

    @property
    def num_bytes(self) -> int:
        """The size of the zip file."""
        return self.path.stat().st_size


def pack(config: RunConfig, folder: Path) -> Package:
    """Write a zip file with `uso_core`, `pipelines`, `jobs` and `run.yaml`.

    The configuration in it is the validated one: with the values of `--set`, and without the
    comments of its file.

    Args:
        config: a configuration without secrets (see `pipelines.config.plain_secrets`).
        folder: the folder for the zip file.
    """
    unused = () if config.model.base == DEMO else _DEMO_MODEL
    contents = {name: data for name, data in _sources() if not name.startswith(unused)}
    contents[CONFIG_FILE] = _yaml(config)
    contents |= _identity()
    path = folder / "uso-run.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(contents):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            archive.writestr(info, contents[name], zipfile.ZIP_DEFLATED)
    return Package(path, len(contents))


def extras(config: RunConfig) -> set[str]:
    """Return the extras of this package that a run needs."""
    base_uri = config.manifest.base_uri or ""
    used = (*config.manifest.paths, base_uri, config.output.path, *config.model.locations)
    # The references are still unread, but a store that holds some usually has options.
    schemes = {uri.partition("://")[0] for uri in used} | config.storage.keys()
    found = {extra for scheme, extra in _EXTRA_OF.items() if scheme in schemes}
    if config.safety.mode != "off" and config.safety.checker in CHECKERS.own:
        found.add(CHECKERS.own[config.safety.checker].extra)
    if config.output.provenance.c2pa:
        found.add(SIGNING_EXTRA)
    return found | ({"fp8"} if config.model.chosen_preset.linears == "float8" else set())


def requirements(config: RunConfig) -> tuple[str, ...]:
    """Return the requirements of this run that a node with nothing but Ray lacks.

    Raises:
        PackageNotFoundError: the package runs from a checkout and was never installed.
    """
    wanted = {"", *extras(config)}
    found = []
    for line in requires(_DISTRIBUTION) or ():
        requirement = Requirement(line)
        if requirement.name in _NOT_FROM_PIP:
            continue
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in wanted):
            requirement.marker = None
            found.append(str(requirement))
    return tuple(found)


def _sources() -> Iterator[tuple[str, bytes]]:
    """Yield the files that the wheel of this package holds.

    An installed package lists them. In a checkout they are the modules and the `_DATA`, without
    links that leave their package.
    """
    listed = _installed_files()
    if listed:
        yield from ((name, path.read_bytes()) for name, path in listed.items())
        return
    for package in PACKAGES:
        root = _root(package)
        for path in sorted(root.rglob("*")):
            relative = path.relative_to(root)
            name = f"{package}/{relative.as_posix()}"
            if _is_part(name) and path.is_file() and path.resolve().is_relative_to(root):
                yield name, path.read_bytes()


def _root(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def _installed_files() -> dict[str, Path]:
    """Return the files of the packages that the installed wheel lists; empty for a checkout."""
    try:
        installed = distribution(_DISTRIBUTION)
    except PackageNotFoundError:
        return {}
    if installed.read_text("RECORD") is None:  # a checkout lists the files of its last install
        return {}
    own = {
        file.as_posix(): Path(str(file.locate()))
        for file in installed.files or ()
        if file.parts[0] in PACKAGES and file.suffix != ".pyc"
    }
    first = own.get("jobs/__init__.py")
    is_in_use = first is not None and first.parent.resolve() == _root("jobs")
    return own if is_in_use else {}


def _is_part(name: str) -> bool:
    path = PurePosixPath(name)
    if any(part.startswith(".") or part == "__pycache__" for part in path.parts):
        return False
    return path.suffix == ".py" or any(path.match(pattern) for pattern in _DATA)


def _yaml(config: RunConfig) -> bytes:
    data = config.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode()


def _identity() -> dict[str, bytes]:
    """Return the metadata from which `importlib.metadata` reads the version on the cluster."""
    try:
        number = version(_DISTRIBUTION)
    except PackageNotFoundError:  # a checkout that was never installed
        return {}
    text = f"Metadata-Version: 2.1\nName: {_DISTRIBUTION}\nVersion: {number}\n"
    return {f"uso_batch-{number}.dist-info/METADATA": text.encode()}
