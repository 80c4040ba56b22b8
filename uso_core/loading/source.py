"""What a model is made of: found, pinned and described without loading it, and without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from uso_core.errors import CheckpointError
from uso_core.loading import layouts
from uso_core.loading.fingerprint import file_digest, fingerprint
from uso_core.loading.layouts import ComponentFiles, ComponentName, FileListing
from uso_core.loading.listing import download_tree, hub_commit, list_files
from uso_core.request import Limits

TINY_VERSION = 1
"""Raise it with every change to the files of `uso_core.loading.tiny`: fingerprints contain it."""
TINY_LIMITS = Limits(min_size=16, max_size=256, default_size=64)
"""For tiny checkpoints, and for settings (config.json) that give no `limits` of their own."""


@dataclass(frozen=True)
class LoraFile:
    """A LoRA of the user's own, which is merged beside USO's.

    Attributes:
        path: a local `.safetensors` file, of any key layout that diffusers reads.
        weight: what its updates are multiplied with.
    """

    path: str
    weight: float = 1.0


@dataclass(frozen=True)
class ModelSource:
    """Where the weights come from: local paths and Hub ids.

    Attributes:
        base: `tiny` or `tiny:SEED` (random weights; a folder of that name is `./tiny`); a folder
            with the original's files, flat or as the original's downloader leaves them, or the
            path of its `flux1-*.safetensors` where there are several; a folder in diffusers'
            layout; or the Hub id of such.
        uso: folder or Hub id with the LoRA and the projector; unused where `base` holds them.
        siglip: folder or Hub id of the SigLIP encoder; unused where `base` holds it.
        base_revision: branch, tag or commit of a Hub id (None: its main branch); unused otherwise.
        uso_revision: likewise.
        siglip_revision: likewise.
        loras: in the order in which they are merged.
    """

    base: str
    uso: str = "bytedance-research/USO"
    siglip: str = "google/siglip-so400m-patch14-384"
    base_revision: str | None = None
    uso_revision: str | None = None
    siglip_revision: str | None = None
    loras: tuple[LoraFile, ...] = ()


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model before it is loaded.

    Attributes:
        name: for records: a Hub id or the name of a folder, never a whole path.
        layout: how its files are laid out.
        limits: the ranges it accepts.
        fingerprint: hexadecimal; two models with different ones draw different pictures.
    """

    name: str
    layout: Literal["tiny", "original", "diffusers"]
    limits: Limits
    fingerprint: str


@dataclass(frozen=True)
class FoundModel:
    """Which files a model (not a tiny one) consists of.

    Attributes:
        name: as in `ModelCard`.
        layout: as in `ModelCard`.
        parts: where each part's files are; they may still be at the Hub.
        loras: of the user's own.
    """

    name: str
    layout: Literal["original", "diffusers"]
    parts: Mapping[ComponentName, ComponentFiles]
    loras: tuple[LoraFile, ...] = ()

    def downloaded(self) -> FoundModel:
        """The same, with every file on disk: those at the Hub go to its cache.

        Raises:
            CheckpointError: the Hub cannot be reached or refuses.
        """
        wanted: dict[FileListing, set[str]] = {}
        for part in self.parts.values():
            wanted.setdefault(part.tree, set()).update(part.names)
        local = {tree: download_tree(tree, names) for tree, names in wanted.items()}
        parts = {name: replace(part, tree=local[part.tree]) for name, part in self.parts.items()}
        return replace(self, parts=parts)


def describe_model(source: ModelSource) -> ModelCard:
    """Describe a model from its small files and its files' headers, in about a second.

    Nothing is downloaded. Of a model at the Hub, it is checked that the files are there and may be
    downloaded.

    Raises:
        CheckpointError: a file is missing, cannot be read, is cut short, or must not be downloaded;
            it names the file, where it was looked for, and how to get it.
    """
    seed = tiny_seed(source.base)
    if seed is not None:
        digest = hashlib.sha256(f"tiny {TINY_VERSION} {seed}".encode()).hexdigest()
        return ModelCard(f"tiny:{seed}", "tiny", TINY_LIMITS, _with_loras(digest, source.loras))
    model = find_model(source)
    digest = _with_loras(fingerprint(model.parts), source.loras)
    return ModelCard(model.name, model.layout, limits_of(model), digest)


def pin_revisions(source: ModelSource) -> ModelSource:
    """The same source with the commit of every Hub id, so that all who load it load the same.

    Only the ids that are used are looked up: `base` may hold the USO weights or SigLIP itself.

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
    """Find every file that `source` (not a tiny one) consists of.

    Raises:
        CheckpointError: there is no such folder or repository, or a file is missing.
    """
    base = list_files(source.base, source.base_revision)
    layout = layouts.layout_of(base)
    parts = layouts.base_parts(base, layout)
    if layouts.holds_uso(base):
        parts |= layouts.uso_parts(base)
    else:
        parts |= layouts.uso_parts(list_files(source.uso, source.uso_revision))
    if layouts.holds_siglip(base):
        parts |= layouts.siglip_parts(base, "siglip")
    else:
        parts |= layouts.siglip_parts(list_files(source.siglip, source.siglip_revision))
    return FoundModel(layouts.model_name(base, parts), layout, parts, source.loras)


def tiny_seed(base: str) -> int | None:
    """The seed in `tiny` (0) or `tiny:SEED`; None where `base` is something else.

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
    """The ranges that a model accepts: its settings' own, else the tiny ones, else FLUX.1-dev's.

    A model without settings (config.json beside the original's files) has FLUX.1-dev's dimensions.

    Raises:
        CheckpointError: the settings cannot be read, or hold unknown limits.
    """
    if "settings" not in model.parts:
        return Limits()
    path = model.parts["settings"].config_path
    given = read_json(path).get("limits")
    if given is None:
        return TINY_LIMITS
    try:
        return Limits(**given)
    except TypeError as error:
        raise CheckpointError(str(path), f"limits: {error}") from error


def _with_loras(digest: str, loras: tuple[LoraFile, ...]) -> str:
    """A model's fingerprint with LoRAs merged; without any, its own."""
    if not loras:
        return digest
    facts = [digest, *(f"{file_digest(Path(lora.path))} {lora.weight!r}" for lora in loras)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        CheckpointError: it cannot be read or is not a JSON object.
    """
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(str(path), f"cannot be read as JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise CheckpointError(str(path), "holds something else than a JSON object")
    return loaded
