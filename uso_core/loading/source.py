"""The source of a model: finds, pins and describes it without loading it, and without torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from uso_core.errors import CheckpointError
from uso_core.loading import layouts
from uso_core.loading.component_files import ComponentFiles, ComponentName, FileListing
from uso_core.loading.fingerprint import fingerprint
from uso_core.loading.licence import TINY_LICENCE, licence_of
from uso_core.loading.listing import hub_commit, list_files, with_files_on_disk
from uso_core.loading.lora_identity import lora_facts
from uso_core.loading.tiny_configs import TINY_LIMITS, TINY_VERSION
from uso_core.local_path import local_path
from uso_core.request import Limits


@dataclass(frozen=True)
class LoraFile:
    """A LoRA of the user's own, which is merged in addition to USO's.

    Attributes:
        path: a local `.safetensors` file in one of the layouts of docs/presets.md.
        weight: factor for its updates.
    """

    path: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Make a local path absolute; files at a URL are pulled before they are read."""
        if "://" not in os.fspath(self.path):
            object.__setattr__(self, "path", os.path.abspath(local_path(self.path)))


@dataclass(frozen=True)
class ModelSource:
    """Local paths and Hub ids of all weights; any path may be a `pathlib.Path`.

    Attributes:
        base: `demo`, a toy in this package; `tiny` or `tiny:SEED`, random weights (a folder of such
            a name is `./demo`); a folder with the original's files, flat or as the original's
            downloader leaves them, or the path of its `flux1-*.safetensors` if there are several;
            a folder in diffusers' layout; or a Hub id of either layout.
        uso: folder or Hub id with the LoRA and the projector; unused if `base` holds them.
        siglip: folder or Hub id of the SigLIP encoder; unused if `base` holds it.
        base_revision: branch, tag or commit of `base` if it is a Hub id; None: its main branch.
        uso_revision: branch, tag or commit of `uso` if it is a Hub id; None: its main branch.
        siglip_revision: branch, tag or commit of `siglip` if it is a Hub id; None: its main branch.
        loras: the user's LoRAs, in the order in which they are merged.
    """

    WEIGHTS: ClassVar[tuple[str, ...]] = ("base", "uso", "siglip")
    """The fields that hold a location; each but `loras` has a revision, `base_revision` etc."""

    base: str
    uso: str = "bytedance-research/USO"
    siglip: str = "google/siglip-so400m-patch14-384"
    base_revision: str | None = None
    uso_revision: str | None = None
    siglip_revision: str | None = None
    loras: tuple[LoraFile, ...] = ()

    def __post_init__(self) -> None:
        for name in ("base", "uso", "siglip"):  # a `Path` is taken, too
            object.__setattr__(self, name, os.fspath(getattr(self, name)))


@dataclass(frozen=True)
class ModelCard:
    """Facts about a model that are known before it is loaded.

    Attributes:
        name: name for records: a Hub id or the name of a folder, never a whole path.
        layout: layout of its files; `tiny` for random weights.
        limits: the ranges it accepts.
        fingerprint: hexadecimal; models with different fingerprints generate different images.
        licence: licence of the base model, as its own card states it; None: unknown.
    """

    name: str
    layout: str
    limits: Limits
    fingerprint: str
    licence: str | None = None


@dataclass(frozen=True)
class FoundModel:
    """The files of a model other than a tiny one.

    Attributes:
        name: see `ModelCard`.
        layout: see `ModelCard`.
        components: the files of each component; they may still be on the Hub.
        loras: the user's LoRAs.
    """

    name: str
    layout: Literal["original", "diffusers"]
    components: Mapping[ComponentName, ComponentFiles]
    loras: tuple[LoraFile, ...] = ()

    def downloaded(self) -> FoundModel:
        """Return the model with every file on disk: files on the Hub are downloaded to its cache.

        Raises:
            CheckpointError: the Hub cannot be reached or refuses.
        """
        wanted: dict[FileListing, set[str]] = {}
        for component in self.components.values():
            wanted.setdefault(component.listing, set()).update(component.names)
        local = {listing: with_files_on_disk(listing, names) for listing, names in wanted.items()}
        components = {
            name: replace(component, listing=local[component.listing])
            for name, component in self.components.items()
        }
        return replace(self, components=components)


def describe_model(source: ModelSource) -> ModelCard:
    """Describe a model from its small files and its files' headers, in about a second.

    Nothing is downloaded. For a model on the Hub, this checks that the files exist and may be
    downloaded.

    Raises:
        CheckpointError: a file is missing, unreadable, truncated, or must not be downloaded; the
            message names the file, the places searched, and how to get it.
    """
    seed = tiny_seed(source.base)
    if seed is not None:
        digest = hashlib.sha256(f"tiny {TINY_VERSION} {seed}".encode()).hexdigest()
        digest = _with_loras(digest, source.loras)
        return ModelCard(f"tiny:{seed}", "tiny", TINY_LIMITS, digest, TINY_LICENCE)
    model = find_model(source)
    digest = _with_loras(fingerprint(model.components), source.loras)
    licence = licence_of(model.components["transformer"].listing, model.name)
    return ModelCard(model.name, model.layout, limits_of(model), digest, licence)


def pin_revisions(source: ModelSource) -> ModelSource:
    """Return the source with the commit of every Hub id, so that all processes load the same model.

    Only ids that are used are looked up: `base` may hold the USO weights or SigLIP itself.

    Raises:
        CheckpointError: a Hub id cannot be resolved.
    """
    if tiny_seed(source.base) is not None:
        return source
    base = list_files(source.base, source.base_revision)
    pinned = replace(source, base_revision=hub_commit(source.base, source.base_revision))
    if not layouts.holds_uso(base):
        pinned = replace(pinned, uso_revision=hub_commit(source.uso, source.uso_revision))
    if not layouts.holds_siglip(base):
        commit = hub_commit(source.siglip, source.siglip_revision)
        pinned = replace(pinned, siglip_revision=commit)
    return pinned


def find_model(source: ModelSource) -> FoundModel:
    """Find every file of `source`, which must not be a tiny model.

    Raises:
        CheckpointError: there is no such folder or repository, or a file is missing.
    """
    base = list_files(source.base, source.base_revision)
    layout = layouts.layout_of(base)
    components = layouts.base_components(base, layout)
    if layouts.holds_uso(base):
        components |= layouts.uso_components(base)
    else:
        components |= layouts.uso_components(list_files(source.uso, source.uso_revision))
    if layouts.holds_siglip(base):
        components |= layouts.siglip_components(base, "siglip")
    else:
        components |= layouts.siglip_components(list_files(source.siglip, source.siglip_revision))
    return FoundModel(layouts.model_name(base, components), layout, components, source.loras)


def tiny_seed(base: str) -> int | None:
    """Return the seed in `tiny` (0) or `tiny:SEED`; None if `base` is anything else.

    Raises:
        CheckpointError: SEED is not a number.
    """
    if base == "tiny":
        return 0
    if not base.startswith("tiny:"):
        return None
    seed = base.removeprefix("tiny:")
    if not seed.isdecimal():
        raise CheckpointError(base, "is not a tiny model: give `tiny` or `tiny:SEED`, SEED from 0")
    return int(seed)


def limits_of(model: FoundModel) -> Limits:
    """Return a model's limits: those of its settings, else the tiny model's, else FLUX.1-dev's.

    A model without settings (a config.json beside the original's files) has FLUX.1-dev's
    dimensions.

    Raises:
        CheckpointError: the settings cannot be read, or contain unknown limits.
    """
    if "settings" not in model.components:
        return Limits()
    path = model.components["settings"].config_path
    return limits_in(read_json(path), str(path))


def limits_in(settings: Mapping[str, Any], where: str) -> Limits:
    """Return the limits that a model's settings (its config.json) give.

    Raises:
        CheckpointError: they contain unknown limits; the message names `where`.
    """
    given = settings.get("limits")
    if given is None:
        return TINY_LIMITS
    try:
        return Limits(**given)
    except TypeError as error:
        raise CheckpointError(where, f"limits: {error}") from error


def _with_loras(digest: str, loras: tuple[LoraFile, ...]) -> str:
    """Return a model's fingerprint with LoRAs merged; without LoRAs, the fingerprint itself."""
    if not loras:
        return digest
    facts = [digest, *(fact for lora in loras for fact in lora_facts(lora.path, lora.weight))]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        CheckpointError: the file cannot be read or is not a JSON object.
    """
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(str(path), f"cannot be read as JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise CheckpointError(str(path), "is not a JSON object")
    return loaded
