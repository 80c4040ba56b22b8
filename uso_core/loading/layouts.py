"""Where each part of a model lies in a folder or a Hub repository, by names alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uso_core.errors import CheckpointError

ComponentName = Literal[
    "transformer",
    "vae",
    "text_encoder",
    "text_encoder_2",
    "tokenizer",
    "tokenizer_2",
    "lora",
    "projector",
    "image_encoder",
    "image_processor",
    "settings",
]


@dataclass(frozen=True)
class FileListing:
    """The files of one folder, or of one Hub repository at one commit.

    Attributes:
        where: the folder or the Hub id, for messages.
        names: paths of its files, relative, with forward slashes.
        folder: where they lie; None: at the Hub, not yet downloaded.
        commit: of the Hub repository; None: a folder.
    """

    where: str
    names: frozenset[str]
    folder: Path | None = None
    commit: str | None = None


@dataclass(frozen=True)
class ComponentFiles:
    """The files of one part of the model, as names in one tree.

    Attributes:
        weights: one file, or all shards in order.
        config: the file that gives the part's dimensions.
        others: tokenizer files.
    """

    tree: FileListing
    weights: tuple[str, ...] = ()
    config: str | None = None
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All its files."""
        return (*self.weights, *((self.config,) if self.config else ()), *self.others)

    @property
    def weight_paths(self) -> list[Path]:
        """Where the weights lie on disk."""
        return [self.path(name) for name in self.weights]

    @property
    def config_path(self) -> Path:
        """Where the config lies on disk."""
        if self.config is None:
            raise LookupError(f"this part of {self.tree.where} has no config")
        return self.path(self.config)

    @property
    def folder(self) -> Path:
        """The folder in which the files lie on disk."""
        return self.path(self.names[0]).parent

    def path(self, name: str) -> Path:
        """Where the file `name` lies on disk."""
        if self.tree.folder is None:
            raise LookupError(f"{self.tree.where} has not been downloaded")
        return self.tree.folder / name


@dataclass(frozen=True)
class _Wanted:
    """What one part needs, all of it in one of `folders`.

    Attributes:
        folders: looked into in this order; "" is the root.
        weights: one of these, whole or in shards.
        config: a file name.
        others: one of these groups of files, all of it.
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
"""Folders that the original's downloader gives the base model's own files."""
_ENCODER = ("model.safetensors", "pytorch_model.bin")
_DIFFUSERS = ("diffusion_pytorch_model.safetensors",)
_CLIP_VOCABULARY = (("tokenizer.json",), ("vocab.json", "merges.txt"))
_T5_VOCABULARY = (("tokenizer.json",), ("spiece.model",))
_TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_T5_FOLDERS, _CLIP_FOLDERS = ("t5", "t5-xxl"), ("clip", "clip-vit-l14")

_ORIGINAL: dict[ComponentName, _Wanted] = {
    "transformer": _Wanted(("", *FLUX_FOLDERS), tuple(_FLUX)),
    "vae": _Wanted(("", *FLUX_FOLDERS), ("ae.safetensors",)),
    "text_encoder": _Wanted(_CLIP_FOLDERS, _ENCODER, "config.json"),
    "text_encoder_2": _Wanted(_T5_FOLDERS, _ENCODER, "config.json"),
    "tokenizer": _Wanted(_CLIP_FOLDERS, others=_CLIP_VOCABULARY),
    "tokenizer_2": _Wanted(_T5_FOLDERS, others=_T5_VOCABULARY),
}
_DIFFUSERS_PARTS: dict[ComponentName, _Wanted] = {
    "transformer": _Wanted(("transformer",), _DIFFUSERS, "config.json"),
    "vae": _Wanted(("vae",), _DIFFUSERS, "config.json"),
    "text_encoder": _Wanted(("text_encoder",), _ENCODER, "config.json"),
    "text_encoder_2": _Wanted(("text_encoder_2",), _ENCODER, "config.json"),
    "tokenizer": _Wanted(("tokenizer",), others=_CLIP_VOCABULARY),
    "tokenizer_2": _Wanted(("tokenizer_2",), others=_T5_VOCABULARY),
}
_USO_FOLDERS = ("", "uso_flux_v1.0", "USO/uso_flux_v1.0")
_USO: dict[ComponentName, _Wanted] = {
    "lora": _Wanted(
        (*_USO_FOLDERS, "split_files/loras", "loras"),
        ("dit_lora.safetensors", "uso-flux1-dit-lora-v1.safetensors"),
    ),
    "projector": _Wanted(
        (*_USO_FOLDERS, "split_files/model_patches", "model_patches"),
        ("projector.safetensors", "uso-flux1-projector-v1.safetensors"),
    ),
}

DIFFUSERS_MARK = "transformer/config.json"
"""The file by which a base in diffusers' layout is known; it is one of those that are loaded."""

_CACHED = re.compile(r"models--(.+)/snapshots/[0-9a-f]{40}")
"""The end of a folder's path in the Hub's cache."""

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
    """Where the original's layout may have its transformer."""
    wanted = _ORIGINAL["transformer"]
    return frozenset(_join(folder, name) for folder in wanted.folders for name in wanted.weights)


def layout_of(tree: FileListing) -> Literal["original", "diffusers"]:
    """Which of the two layouts a base model has.

    Raises:
        CheckpointError: neither; or more than one transformer, and it is not said which.
    """
    if DIFFUSERS_MARK in tree.names:
        return "diffusers"
    wanted = _ORIGINAL["transformer"]
    found = sorted(transformer_names() & tree.names)
    if not found:
        raise CheckpointError(
            tree.where,
            f"is not a model: there is neither {DIFFUSERS_MARK} (diffusers' layout) nor "
            f"{wanted} (the original's files)",
        )
    if len(found) > 1:
        raise CheckpointError(
            tree.where, f"holds several models: {', '.join(found)}; give the path of one of them"
        )
    return "original"


def base_parts(
    tree: FileListing, layout: Literal["original", "diffusers"]
) -> dict[ComponentName, ComponentFiles]:
    """The parts of the base model: transformer, VAE, text encoders, tokenizers, settings."""
    parts = _find(tree, _ORIGINAL if layout == "original" else _DIFFUSERS_PARTS, _ADVICE[layout])
    if layout == "original" and "config.json" in tree.names:
        parts["settings"] = ComponentFiles(tree, config="config.json")
    return parts


def holds_uso(tree: FileListing) -> bool:
    """Whether the USO files lie in this tree."""
    return all(_find_one(tree, wanted) for wanted in _USO.values())


def uso_parts(tree: FileListing) -> dict[ComponentName, ComponentFiles]:
    """The LoRA and the projector."""
    return _find(tree, _USO, _ADVICE["uso"])


def holds_siglip(tree: FileListing) -> bool:
    """Whether SigLIP lies in this tree, in the folder `siglip`."""
    return all(_find_one(tree, wanted) for wanted in _siglip("siglip").values())


def siglip_parts(tree: FileListing, folder: str = "") -> dict[ComponentName, ComponentFiles]:
    """The SigLIP encoder and its image processor."""
    return _find(tree, _siglip(folder), _ADVICE["siglip"])


def model_name(base: FileListing, parts: Mapping[ComponentName, ComponentFiles]) -> str:
    """What records call a model: a Hub id, or the last part of a folder's path."""
    if base.folder is None or base.commit is not None:
        return base.where
    transformer = Path(parts["transformer"].weights[0]).name
    if transformer in _FLUX and "settings" not in parts:
        return _FLUX[transformer]
    folder = base.folder.resolve()
    if match := _CACHED.fullmatch("/".join(folder.parts[-3:])):
        return match[1].replace("--", "/")
    return folder.name


def _siglip(folder: str) -> dict[ComponentName, _Wanted]:
    return {
        "image_encoder": _Wanted((folder,), _ENCODER, "config.json"),
        "image_processor": _Wanted((folder,), config="preprocessor_config.json"),
    }


def _find(
    tree: FileListing, table: Mapping[ComponentName, _Wanted], advice: str
) -> dict[ComponentName, ComponentFiles]:
    found = {name: _find_one(tree, wanted) for name, wanted in table.items()}
    if missing := [f"{name} ({table[name]})" for name, part in found.items() if part is None]:
        raise CheckpointError(tree.where, f"lacks {'; '.join(missing)}. To get it, {advice}")
    return {name: part for name, part in found.items() if part is not None}


def _find_one(tree: FileListing, wanted: _Wanted) -> ComponentFiles | None:
    for folder in wanted.folders:
        if part := _find_in(tree, folder, wanted):
            return part
    return None


def _find_in(tree: FileListing, folder: str, wanted: _Wanted) -> ComponentFiles | None:
    candidates = (_files_of(tree, _join(folder, name)) for name in wanted.weights)
    weights = next(filter(None, candidates), ())
    config = _join(folder, wanted.config) if wanted.config else None
    others = _vocabulary(tree, folder, wanted.others)
    if wanted.weights and not weights:
        return None
    if config and config not in tree.names:
        return None
    if wanted.others and not others:
        return None
    return ComponentFiles(tree, weights, config, others)


def _vocabulary(
    tree: FileListing, folder: str, groups: tuple[tuple[str, ...], ...]
) -> tuple[str, ...]:
    """The files of each whole group, and the settings beside them; nothing where none is whole."""
    in_folder = [tuple(_join(folder, name) for name in group) for group in groups]
    files = [name for group in in_folder if tree.names.issuperset(group) for name in group]
    settings = [_join(folder, name) for name in _TOKENIZER_SETTINGS]
    return (*files, *(name for name in settings if name in tree.names)) if files else ()


def _files_of(tree: FileListing, name: str) -> tuple[str, ...]:
    """The weights file `name` alone, or all of its shards; nothing where one is missing."""
    if name in tree.names:
        return (name,)
    stem, _, suffix = name.rpartition(".")
    shard = re.compile(re.escape(stem) + r"-(\d{5})-of-(\d{5})\." + suffix)
    shards = sorted(other for other in tree.names if shard.fullmatch(other))
    if not shards or (match := shard.fullmatch(shards[-1])) is None:
        return ()
    return tuple(shards) if len(shards) == int(match[2]) else ()


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
