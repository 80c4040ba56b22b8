"""Weight files as a mapping from key to tensor, read one tensor at a time.

Files are memory-mapped, so only the requested tensors are read into memory.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open

from uso_core.errors import CheckpointError

Shape = tuple[int, ...]


class TensorFiles(Protocol):
    """The tensors of one component of a checkpoint, in one file or several shards."""

    @property
    def name(self) -> str:
        """The file, or the first shard, for messages."""
        ...

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """Shape of each tensor by key, in the order of the file."""
        ...

    @property
    def header(self) -> Mapping[str, str]:
        """The texts that the header of a safetensors file holds beside the tensors."""
        ...

    def read(self, key: str, start: int | None = None, stop: int | None = None) -> torch.Tensor:
        """Read one tensor, or its rows from `start` up to `stop`, onto the CPU."""
        ...


def open_tensor_files(paths: Sequence[Path]) -> TensorFiles:
    """Open the file, or all shards, of one component of a checkpoint.

    Args:
        paths: `.safetensors` files, or pickles written by `torch.save` (`.bin`); of pickles, only
            tensors are read.

    Raises:
        CheckpointError: a file cannot be read, is truncated, or two shards hold the same key.
    """
    if paths[0].suffix == ".safetensors":
        return _Safetensors(paths)
    return _Pickled(paths)


def without_prefixes(files: TensorFiles, prefixes: tuple[str, ...]) -> TensorFiles:
    """Return the same files without the keys that start with one of `prefixes`."""
    kept = {key: shape for key, shape in files.shapes.items() if not key.startswith(prefixes)}
    return _View(files.name, kept, files.header, files)


@dataclass(frozen=True)
class _View:
    name: str
    shapes: Mapping[str, Shape]
    header: Mapping[str, str]
    files: TensorFiles

    def read(self, key: str, start: int | None = None, stop: int | None = None) -> torch.Tensor:
        return self.files.read(key, start, stop)


class _Safetensors:
    def __init__(self, paths: Sequence[Path]) -> None:
        self.name = str(paths[0])
        self.shapes: dict[str, Shape] = {}
        self.header: dict[str, str] = {}
        self._file_of: dict[str, Any] = {}
        for path in paths:
            try:
                file: Any = safe_open(path, framework="pt")  # its methods are not typed
                shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.offset_keys()}
            except (SafetensorError, OSError) as error:
                raise _unreadable(path, error) from error
            _refuse_repeats(path, shapes, self.shapes)
            self.shapes |= shapes
            self.header |= file.metadata() or {}
            self._file_of |= dict.fromkeys(shapes, file)

    def read(self, key: str, start: int | None = None, stop: int | None = None) -> torch.Tensor:
        file = self._file_of[key]
        if start is None and stop is None:
            whole: torch.Tensor = file.get_tensor(key)
            return whole
        rows: torch.Tensor = file.get_slice(key)[start:stop]
        return rows


class _Pickled:
    def __init__(self, paths: Sequence[Path]) -> None:
        self.name = str(paths[0])
        self._tensors: dict[str, torch.Tensor] = {}
        self.header: dict[str, str] = {}  # pickles have none
        for path in paths:
            tensors = _read_pickle(path)
            _refuse_repeats(path, tensors, self._tensors)
            self._tensors |= tensors
        self.shapes: dict[str, Shape] = {k: tuple(t.shape) for k, t in self._tensors.items()}

    def read(self, key: str, start: int | None = None, stop: int | None = None) -> torch.Tensor:
        tensor = self._tensors[key]
        return tensor if start is None and stop is None else tensor[start:stop]


def _read_pickle(path: Path) -> dict[str, torch.Tensor]:
    try:
        # torch can map only its zip format; files from before 2020 are read whole.
        loaded = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(loaded, Mapping) or not all(torch.is_tensor(t) for t in loaded.values()):
        raise CheckpointError(str(path), "does not hold a mapping of names to tensors")
    return dict(loaded)


def _refuse_repeats(path: Path, new: Mapping[str, object], known: Mapping[str, object]) -> None:
    if repeated := sorted(new.keys() & known.keys()):
        raise CheckpointError(str(path), f"holds a key that another shard holds: {repeated[0]}")


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        str(path), f"cannot be read ({error}); if its download was cut off, fetch it again"
    )
