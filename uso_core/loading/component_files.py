"""File names: all files of a folder or Hub repository, and those of one component of a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
        location: the folder or the Hub id, for messages.
        names: relative paths of the files, with forward slashes.
        folder: the folder on disk; None if the files are on the Hub and not yet downloaded.
        commit: commit of the Hub repository; None for a folder.
    """

    location: str
    names: frozenset[str]
    folder: Path | None = None
    commit: str | None = None


@dataclass(frozen=True)
class ComponentFiles:
    """The files of one component of a model, as names in a listing.

    Attributes:
        listing: the files among which they were found.
        weights: one file, or all shards in order.
        config: the file that gives the component's dimensions.
        others: tokenizer files.
    """

    listing: FileListing
    weights: tuple[str, ...] = ()
    config: str | None = None
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All file names of the component."""
        return (*self.weights, *((self.config,) if self.config else ()), *self.others)

    @property
    def weight_paths(self) -> list[Path]:
        """Paths of the weights on disk."""
        return [self.path(name) for name in self.weights]

    @property
    def config_path(self) -> Path:
        """Path of the config on disk.

        Raises:
            LookupError: the component has no config, or it has not been downloaded.
        """
        if self.config is None:
            raise LookupError(f"this component of {self.listing.location} has no config")
        return self.path(self.config)

    @property
    def folder(self) -> Path:
        """The folder on disk that holds the files."""
        return self.path(self.names[0]).parent

    def path(self, name: str) -> Path:
        """Return the path of the file `name` on disk.

        Raises:
            LookupError: the files have not been downloaded.
        """
        if self.listing.folder is None:
            raise LookupError(f"{self.listing.location} has not been downloaded")
        return self.listing.folder / name
