"""What a model is made of, found and described without loading it, and without torch."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from uso_core.errors import CheckpointError
from uso_core.layouts import (
    Part,
    PartName,
    Tree,
    base_parts,
    holds_siglip,
    holds_uso,
    layout_of,
    siglip_parts,
    uso_parts,
)
from uso_core.request import Limits

TINY_VERSION = 1
TINY_LIMITS = Limits(min_size=16, max_size=256, default_size=64)
_TREE_DEPTH = 4


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """Where the weights come from: local paths and Hub ids.

    Attributes:
        base: `tiny` or `tiny:SEED` (random weights); a folder with the original's files, flat or as
            the original's downloader leaves them, or the path of its `flux1-*.safetensors` where
            there are several; a folder in diffusers' layout; or a Hub id of such.
        uso: folder or Hub id with the LoRA and the projector; unused where `base` holds them.
        siglip: folder or Hub id of the SigLIP encoder; unused where `base` holds it.
        base_revision: branch, tag or commit, where `base` is a Hub id; None: its main branch.
        uso_revision: likewise.
        siglip_revision: likewise.
    """

    base: str
    uso: str = "bytedance-research/USO"
    siglip: str = "google/siglip-so400m-patch14-384"
    base_revision: str | None = None
    uso_revision: str | None = None
    siglip_revision: str | None = None


@dataclass(frozen=True)
class FoundModel:
    """Which files a model consists of; none of them has been read."""

    name: str
    layout: Literal["original", "diffusers"]
    parts: dict[PartName, Part]


def tiny_seed(base: str) -> int | None:
    """The seed in `tiny` or `tiny:SEED`; None where `base` is something else."""
    if base == "tiny":
        return 0
    if not base.startswith("tiny:"):
        return None
    if not base[5:].isdecimal():
        raise CheckpointError(base, "is not a tiny model: give `tiny` or `tiny:SEED`, SEED from 0")
    return int(base[5:])


def find_model(source: ModelSource) -> FoundModel:
    """Find every file that `source` (not a tiny one) consists of.

    Raises:
        CheckpointError: a file is missing, or there is no such folder.
    """
    base, name = _base_tree(source)
    layout = layout_of(base)
    parts = base_parts(base, layout)
    parts |= uso_parts(base if holds_uso(base) else _tree(source.uso, source.uso_revision))
    if holds_siglip(base, "siglip"):
        parts |= siglip_parts(base, "siglip")
    else:
        parts |= siglip_parts(_tree(source.siglip, source.siglip_revision))
    return FoundModel(name, layout, parts)


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


def limits_of(model: FoundModel) -> Limits:
    """The ranges that a model accepts: as its settings have them, else those of FLUX.1-dev."""
    if "settings" not in model.parts:
        return Limits()
    part = model.parts["settings"]
    path = part.path(str(part.config))
    given = read_json(path).get("limits")
    if given is None:
        return TINY_LIMITS
    try:
        return Limits(**given)
    except TypeError as error:
        raise CheckpointError(str(path), f"limits: {error}") from error


def _base_tree(source: ModelSource) -> tuple[Tree, str]:
    tree = _tree(source.base, source.base_revision)
    return tree, Path(tree.where).name


def _tree(location: str, revision: str | None) -> Tree:
    folder = Path(location).expanduser()
    if folder.is_dir():
        return _folder_tree(folder)
    raise CheckpointError(location, "there is no such folder")


def _folder_tree(folder: Path) -> Tree:
    names = set()
    for root, folders, files in os.walk(folder):
        below = Path(root).relative_to(folder)
        if len(below.parts) >= _TREE_DEPTH:
            folders.clear()
        names |= {(below / file).as_posix() for file in files}
    return Tree(str(folder), frozenset(names), folder)
