"""The weight files of each network: where they come from, and how they are found.

Importing this loads no torch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from uso_core.errors import CheckpointError
from uso_core.loading.component_files import ComponentFiles, FileListing
from uso_core.loading.fingerprint import file_digest
from uso_core.loading.listing import list_files, with_files_on_disk
from uso_core.local_path import local_path

_TRANSFORMERS = ("model.safetensors", "pytorch_model.bin")
_VOCABULARY = (("tokenizer.json",), ("vocab.json", "merges.txt"))
_CONFIG = "config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The published weights of one network.

    Attributes:
        network: name of the network.
        get: command that downloads them.
        give: value that the configuration then takes, besides a folder or file.
        size: size of the download.
        names: names that the file with the weights may have.
        has_config: True for a folder in transformers' format, with a `config.json`.
        has_vocabulary: True if a tokenizer belongs to it.
    """

    network: str
    get: str
    give: str
    size: str
    names: tuple[str, ...] = _TRANSFORMERS
    has_config: bool = False
    has_vocabulary: bool = False

    def how_to_get(self) -> str:
        """Return an instruction for people."""
        return f"download {self.network} ({self.size}) with `{self.get}`"

    def find(self, location: str) -> ComponentFiles:
        """Find the files at a location; nothing is downloaded.

        Args:
            location: a folder, a Hub id, or, for a network without a config, the file itself.

        Raises:
            CheckpointError: they are not there; the message says how to get them.
        """
        path = local_path(location)
        if path.is_file() and not self.has_config:
            listing = FileListing(str(path.parent), frozenset({path.name}), path.parent)
            return ComponentFiles(listing, (path.name,))
        if "://" in location:
            raise CheckpointError(location, "give a folder or a Hub id: scores read no URLs")
        try:
            listing = list_files(location, None)
        except CheckpointError as error:
            if self.get in error.reason:
                raise
            raise CheckpointError(error.path, f"{error.reason}; {self.how_to_get()}") from error
        return self._found_in(listing)

    def identity(self, location: str) -> str:
        """Return a text that differs for other weights, e.g. a hash of the file.

        Raises:
            CheckpointError: see `find`; or the file cannot be read.
        """
        found = self.find(location)
        if found.listing.commit is not None:
            return f"{found.listing.location}@{found.listing.commit}"
        return file_digest(found.weight_paths[0])

    def on_disk(self, location: str) -> ComponentFiles:
        """Find the files, and download them from the Hub if its cache lacks them.

        Raises:
            CheckpointError: see `find`; or the Hub cannot be reached.
        """
        found = self.find(location)
        listing = with_files_on_disk(found.listing, found.names)
        return ComponentFiles(listing, found.weights, found.config, found.others)

    def _found_in(self, listing: FileListing) -> ComponentFiles:
        weights = [name for name in self.names if name in listing.names]
        vocabulary = [group for group in _VOCABULARY if listing.names.issuperset(group)]
        lacks = [] if weights else [" or ".join(self.names)]
        if self.has_config and _CONFIG not in listing.names:
            lacks.append(_CONFIG)
        if self.has_vocabulary and not vocabulary:
            lacks.append("tokenizer.json, or vocab.json and merges.txt")
        if lacks:
            raise CheckpointError(
                listing.location, f"lacks {'; '.join(lacks)}; {self.how_to_get()}"
            )
        others = [name for group in vocabulary for name in group] if self.has_vocabulary else []
        settings = [name for name in ("tokenizer_config.json",) if name in listing.names]
        config = _CONFIG if self.has_config else None
        return ComponentFiles(listing, (weights[0],), config, (*others, *settings))


def absolute(location: str) -> str:
    """Return a local path as an absolute path, and a Hub id unchanged."""
    path: Path = local_path(location)
    return str(path.absolute()) if os.path.exists(path) else location


CSD = Weights(
    network="CSD's ViT-L/14",
    get="hf download tomg-group-umd/CSD-ViT-L",
    give="tomg-group-umd/CSD-ViT-L",
    size="2.4 GB",
    names=(*_TRANSFORMERS, "checkpoint.pth", "csd_clip.pth"),
)
CLIP_B32 = Weights(
    network="CLIP ViT-B/32",
    get="hf download openai/clip-vit-base-patch32",
    give="openai/clip-vit-base-patch32",
    size="0.6 GB",
    has_config=True,
    has_vocabulary=True,
)
CLIP_L14 = Weights(
    network="CLIP ViT-L/14",
    get="hf download openai/clip-vit-large-patch14",
    give="openai/clip-vit-large-patch14",
    size="1.7 GB",
    has_config=True,
)
DINO_S16 = Weights(
    network="DINO ViT-S/16",
    get="hf download facebook/dino-vits16",
    give="facebook/dino-vits16",
    size="0.1 GB",
    has_config=True,
)
VGG19 = Weights(
    network="torchvision's VGG-19",
    get="curl -LO https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    give="vgg19-dcbb9e9d.pth",
    size="0.6 GB",
    names=("vgg19-dcbb9e9d.pth", *_TRANSFORMERS),
)
AESTHETIC = Weights(
    network="the head of LAION's aesthetic predictor",
    get="curl -LO https://github.com/christophschuhmann/improved-aesthetic-predictor/raw/main/"
    "sac+logos+ava1-l14-linearMSE.pth",
    give="sac+logos+ava1-l14-linearMSE.pth",
    size="4 MB",
    names=("sac+logos+ava1-l14-linearMSE.pth", "sac+logos+ava1-l14-linearMSE.safetensors"),
)
