"""The files of each component of a model in a folder or a Hub repository, found by name alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uso_core.errors import CheckpointError
from uso_core.loading.component_files import ComponentFiles, ComponentName, FileListing


@dataclass(frozen=True)
class _ComponentSpec:
    """The files that one component needs, all in one of `folders`.

    Attributes:
        folders: folders to look into, in this order; "" is the root.
        weights: alternative names of the weights, each whole or in shards.
        config: name of the config.
        others: alternative groups of files; a group must be complete.
    """

    folders: tuple[str, ...]
    weights: tuple[str, ...] = ()
    config: str | None = None
    others: tuple[tuple[str, ...], ...] = ()

    def __str__(self) -> str:
        files = [" or ".join(self.weights)] if self.weights else []
        files += [self.config] if self.config else []
        files += [" or ".join("+".join(group) for group in self.others)] if self.others else []
        folders = [folder or "." for folder in self.folders]
        return f"{', '.join(files)} in {' or '.join(folders)}"


_FLUX = {
    "flux1-dev.safetensors": "black-forest-labs/FLUX.1-dev",
    "flux1-krea-dev.safetensors": "black-forest-labs/FLUX.1-Krea-dev",
    "flux1-schnell.safetensors": "black-forest-labs/FLUX.1-schnell",
}
FLUX_FOLDERS = tuple(repo_id.partition("/")[2] for repo_id in _FLUX.values())
"""Folders into which the original's downloader puts the base model's own files."""
_ENCODER = ("model.safetensors", "pytorch_model.bin")
_DIFFUSERS_WEIGHTS = ("diffusion_pytorch_model.safetensors",)
_CLIP_VOCABULARY = (("tokenizer.json",), ("vocab.json", "merges.txt"))
_T5_VOCABULARY = (("tokenizer.json",), ("spiece.model",))
_TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_T5_FOLDERS, _CLIP_FOLDERS = ("t5", "t5-xxl"), ("clip", "clip-vit-l14")

_ORIGINAL: dict[ComponentName, _ComponentSpec] = {
    "transformer": _ComponentSpec(("", *FLUX_FOLDERS), tuple(_FLUX)),
    "vae": _ComponentSpec(("", *FLUX_FOLDERS), ("ae.safetensors",)),
    "text_encoder": _ComponentSpec(_CLIP_FOLDERS, _ENCODER, "config.json"),
    "text_encoder_2": _ComponentSpec(_T5_FOLDERS, _ENCODER, "config.json"),
    "tokenizer": _ComponentSpec(_CLIP_FOLDERS, others=_CLIP_VOCABULARY),
    "tokenizer_2": _ComponentSpec(_T5_FOLDERS, others=_T5_VOCABULARY),
}
_DIFFUSERS: dict[ComponentName, _ComponentSpec] = {
    "transformer": _ComponentSpec(("transformer",), _DIFFUSERS_WEIGHTS, "config.json"),
    "vae": _ComponentSpec(("vae",), _DIFFUSERS_WEIGHTS, "config.json"),
    "text_encoder": _ComponentSpec(("text_encoder",), _ENCODER, "config.json"),
    "text_encoder_2": _ComponentSpec(("text_encoder_2",), _ENCODER, "config.json"),
    "tokenizer": _ComponentSpec(("tokenizer",), others=_CLIP_VOCABULARY),
    "tokenizer_2": _ComponentSpec(("tokenizer_2",), others=_T5_VOCABULARY),
}
_USO_FOLDERS = ("", "uso_flux_v1.0", "USO/uso_flux_v1.0")
_USO: dict[ComponentName, _ComponentSpec] = {
    "lora": _ComponentSpec(
        (*_USO_FOLDERS, "split_files/loras", "loras"),
        ("dit_lora.safetensors", "uso-flux1-dit-lora-v1.safetensors"),
    ),
    "projector": _ComponentSpec(
        (*_USO_FOLDERS, "split_files/model_patches", "model_patches"),
        ("projector.safetensors", "uso-flux1-projector-v1.safetensors"),
    ),
}

DIFFUSERS_MARKER = "transformer/config.json"
"""The file that identifies a base model in diffusers' layout; it is also loaded."""

_CACHED = re.compile(r"models--(.+)/snapshots/[0-9a-f]{40}")
"""The last part of a folder's path in the Hub's cache."""

_ADVICE = {
    "original": "download flux1-dev.safetensors and ae.safetensors of "
    "black-forest-labs/FLUX.1-dev, google/t5-v1_1-xxl as t5-xxl, and "
    "openai/clip-vit-large-patch14 as clip-vit-l14",
    "diffusers": "download the whole repository again, e.g. `hf download "
    "black-forest-labs/FLUX.1-dev`",
    "uso": "download it with `hf download bytedance-research/USO`",
    "siglip": "download it with `hf download google/siglip-so400m-patch14-384`",
}


def transformer_names() -> frozenset[str]:
    """Return every path at which the original layout may have its transformer."""
    spec = _ORIGINAL["transformer"]
    return frozenset(_join(folder, name) for folder in spec.folders for name in spec.weights)


def layout_of(listing: FileListing) -> Literal["original", "diffusers"]:
    """Return the layout of a base model.

    Raises:
        CheckpointError: the listing has neither layout, or several transformers to choose from.
    """
    if DIFFUSERS_MARKER in listing.names:
        return "diffusers"
    spec = _ORIGINAL["transformer"]
    found = sorted(transformer_names() & listing.names)
    if not found:
        raise CheckpointError(
            listing.location,
            f"is not a model: there is neither {DIFFUSERS_MARKER} (diffusers' layout) nor "
            f"{spec} (the original's files)",
        )
    if len(found) > 1:
        raise CheckpointError(
            listing.location,
            f"holds several models: {', '.join(found)}; give the path of one of them",
        )
    return "original"


def base_components(
    listing: FileListing, layout: Literal["original", "diffusers"]
) -> dict[ComponentName, ComponentFiles]:
    """Return the base model's components: transformer, VAE, text encoders, tokenizers, settings."""
    components = _find(listing, _ORIGINAL if layout == "original" else _DIFFUSERS, _ADVICE[layout])
    if layout == "original" and "config.json" in listing.names:
        components["settings"] = ComponentFiles(listing, config="config.json")
    return components


def holds_uso(listing: FileListing) -> bool:
    """Return True if the listing has the USO files."""
    return all(_find_one(listing, spec) for spec in _USO.values())


def uso_components(listing: FileListing) -> dict[ComponentName, ComponentFiles]:
    """Return the LoRA and the projector."""
    return _find(listing, _USO, _ADVICE["uso"])


def holds_siglip(listing: FileListing) -> bool:
    """Return True if the listing has SigLIP in its folder `siglip`."""
    return all(_find_one(listing, spec) for spec in _siglip("siglip").values())


def siglip_components(
    listing: FileListing, folder: str = ""
) -> dict[ComponentName, ComponentFiles]:
    """Return the SigLIP encoder and its image processor."""
    return _find(listing, _siglip(folder), _ADVICE["siglip"])


def model_name(base: FileListing, components: Mapping[ComponentName, ComponentFiles]) -> str:
    """Return the model's name for records: a Hub id, or the last component of a folder's path."""
    if base.folder is None or base.commit is not None:
        return base.location
    transformer = Path(components["transformer"].weights[0]).name
    if transformer in _FLUX and "settings" not in components:
        return _FLUX[transformer]
    folder = base.folder.resolve()
    if match := _CACHED.fullmatch("/".join(folder.parts[-3:])):
        return match[1].replace("--", "/")
    return folder.name


def _siglip(folder: str) -> dict[ComponentName, _ComponentSpec]:
    return {
        "image_encoder": _ComponentSpec((folder,), _ENCODER, "config.json"),
        "image_processor": _ComponentSpec((folder,), config="preprocessor_config.json"),
    }


def _find(
    listing: FileListing, table: Mapping[ComponentName, _ComponentSpec], advice: str
) -> dict[ComponentName, ComponentFiles]:
    found = {name: _find_one(listing, spec) for name, spec in table.items()}
    if missing := [
        f"{name} ({table[name]})" for name, component in found.items() if component is None
    ]:
        raise CheckpointError(listing.location, f"lacks {'; '.join(missing)}. To get it, {advice}")
    return {name: component for name, component in found.items() if component is not None}


def _find_one(listing: FileListing, spec: _ComponentSpec) -> ComponentFiles | None:
    for folder in spec.folders:
        if component := _find_in(listing, folder, spec):
            return component
    return None


def _find_in(listing: FileListing, folder: str, spec: _ComponentSpec) -> ComponentFiles | None:
    candidates = (_files_of(listing, _join(folder, name)) for name in spec.weights)
    weights = next(filter(None, candidates), ())
    config = _join(folder, spec.config) if spec.config else None
    others = _vocabulary(listing, folder, spec.others)
    if spec.weights and not weights:
        return None
    if config and config not in listing.names:
        return None
    if spec.others and not others:
        return None
    return ComponentFiles(listing, weights, config, others)


def _vocabulary(
    listing: FileListing, folder: str, groups: tuple[tuple[str, ...], ...]
) -> tuple[str, ...]:
    """Return the files of each complete group, and the settings if any group is complete."""
    in_folder = [tuple(_join(folder, name) for name in group) for group in groups]
    files = [name for group in in_folder if listing.names.issuperset(group) for name in group]
    settings = [_join(folder, name) for name in _TOKENIZER_SETTINGS]
    return (*files, *(name for name in settings if name in listing.names)) if files else ()


def _files_of(listing: FileListing, name: str) -> tuple[str, ...]:
    """Return the weights file `name`, or all of its shards; () if one is missing."""
    if name in listing.names:
        return (name,)
    stem, _, suffix = name.rpartition(".")
    shard = re.compile(re.escape(stem) + r"-(\d{5})-of-(\d{5})\." + suffix)
    shards = sorted(other for other in listing.names if shard.fullmatch(other))
    if not shards or (match := shard.fullmatch(shards[-1])) is None:
        return ()
    return tuple(shards) if len(shards) == int(match[2]) else ()


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
