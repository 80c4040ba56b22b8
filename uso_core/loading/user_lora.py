"""LoRAs of the user's own, merged beside USO's: all of a file, or nothing of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from uso_core.errors import CheckpointError
from uso_core.loading.lora_keys import (
    Layer,
    Part,
    find_layer,
    is_of_text_encoder,
    layers_of,
    layout_of,
    split_key,
    without_prefix,
)
from uso_core.loading.lora_settings import LoraSettings, read_settings
from uso_core.loading.lora_updates import Decomposed, Difference, LowRank, Update
from uso_core.loading.tensor_files import Shape, TensorFiles

_Keys = Mapping[Part, str]
"""The keys of one layer of a file, by their part."""

_ALPHA_ROUNDING = 1e-2  # an alpha in bfloat16 is rounded


def read_user_lora(
    files: TensorFiles, shapes: Mapping[str, Shape], weight: float
) -> dict[str, Update]:
    """Read a LoRA in any of the layouts of docs/presets.md.

    Every key takes effect, or the file is rejected. Only keys that would change nothing are left
    out, because their tensors are zero.

    Args:
        files: the tensors of one LoRA.
        shapes: shapes of the transformer's parameters, by diffusers' names.
        weight: factor for its updates.

    Returns:
        Name of a parameter → its update.

    Raises:
        CheckpointError: a key cannot be merged, or the file cannot be read; the message names the
            file, the key and its layout.
    """
    reader = _Reader(files, read_settings(files), shapes, weight)
    layers = layers_of(shapes)
    updates: dict[str, Update] = {}
    # Unread parts come first: their names tell the most about a file.
    for stem, keys in sorted(_by_layer(files).items(), key=lambda item: "unread" not in item[1]):
        layer = None if "unread" in keys else find_layer(stem, layers)
        if layer is None:
            reader.refuse_unless_zero(keys)
            continue
        for name, update in reader.updates(stem, layer, keys):
            if name in updates:
                raise _refusal(files, next(iter(keys.values())), f"changes {name} a second time")
            updates[name] = update
    if not updates:
        raise CheckpointError(
            files.name, "holds no LoRA for this model's transformer; use another file"
        )
    return updates


def _by_layer(files: TensorFiles) -> dict[str, dict[Part, str]]:
    found: dict[str, dict[Part, str]] = {}
    for key in files.shapes:
        stem, part = split_key(key)
        keys = found.setdefault(stem, {})
        if part in keys:
            raise _refusal(files, key, f"stands for the same as {keys[part]}")
        keys[part] = key
    return found


def _refusal(files: TensorFiles, key: str, reason: str) -> CheckpointError:
    return CheckpointError(
        files.name,
        f"{key} (layout: {layout_of(key)}) {reason}; use another file",
    )


@dataclass(frozen=True)
class _Reader:
    """Reads the updates of one file, layer by layer."""

    files: TensorFiles
    settings: LoraSettings
    shapes: Mapping[str, Shape]
    weight: float

    def updates(self, stem: str, layer: Layer, keys: _Keys) -> Iterator[tuple[str, Update]]:
        """Yield every parameter that a layer of the file changes, with its update."""
        self._check_complete(keys)
        if "down" in keys:
            scale = self._scale(without_prefix(stem), keys, self._rank(layer, keys))
            yield from self._products(layer, keys, scale)
            yield from self._differences(layer, keys, "up_bias", "bias", scale)
        yield from self._differences(layer, keys, "diff", "weight", 1.0)
        yield from self._differences(layer, keys, "diff_b", "bias", 1.0)

    def refuse_unless_zero(self, keys: _Keys) -> None:
        """Raise `CheckpointError` unless keys without a place in the transformer change nothing."""
        changing = [key for key in keys.values() if self.files.read(key).float().any()]
        pair = {key for part, key in keys.items() if part in {"down", "up"}}
        if len(pair) == 2 and not pair.issubset(changing):
            # One factor is zero, so the product is, and alpha has nothing to scale.
            changing = [key for key in changing if key not in {*pair, keys.get("alpha")}]
        if changing:
            raise _refusal(self.files, changing[0], _reason_without_place(changing[0]))

    def _check_complete(self, keys: _Keys) -> None:
        pair = [key for part, key in keys.items() if part in {"down", "up"}]
        if len(pair) == 1:
            raise _refusal(self.files, pair[0], "lacks the other matrix of its product")
        for part, key in keys.items():
            if part in {"alpha", "magnitude", "up_bias"} and not pair:
                raise _refusal(self.files, key, "lacks the matrices that it belongs to")
        if "magnitude" in keys and "up_bias" in keys:
            raise _refusal(self.files, keys["up_bias"], "is not defined for a DoRA")

    def _rank(self, layer: Layer, keys: _Keys) -> int:
        """Return the rank of a product whose matrices fit the layer."""
        up, down = self.files.shapes[keys["up"]], self.files.shapes[keys["down"]]
        expected = self._shape(layer, "weight")
        if not (len(up) == len(down) == 2 and up[1] == down[0] and (up[0], down[1]) == expected):
            reason = f"is {list(up)} times {list(down)}, expected {list(expected)}"
            raise _refusal(self.files, keys["up"], reason)
        if not down[0]:
            raise _refusal(self.files, keys["down"], "has rank 0")
        return down[0]

    def _scale(self, name: str, keys: _Keys, rank: int) -> float:
        """Return alpha divided by the rank; 1 if neither the file nor its settings give alpha."""
        stated = self.settings.rank_of(name)
        if stated not in {None, rank}:
            reason = f"has rank {rank}, its settings say {stated:g}"
            raise _refusal(self.files, keys["down"], reason)
        from_settings = self.settings.scale(name, rank)
        if "alpha" not in keys:
            return 1.0 if from_settings is None else from_settings
        scale = self._alpha(keys["alpha"]) / rank
        if from_settings is None:
            return scale
        if not math.isclose(scale, from_settings, rel_tol=_ALPHA_ROUNDING):
            reason = f"gives the scale {scale:g}, its settings give {from_settings:g}"
            raise _refusal(self.files, keys["alpha"], reason)
        return scale

    def _alpha(self, key: str) -> float:
        tensor = self.files.read(key)
        value = float(tensor.item()) if tensor.numel() == 1 else math.nan
        if not math.isfinite(value) or not value:
            raise _refusal(self.files, key, "is not one number other than 0")
        return value

    def _products(self, layer: Layer, keys: _Keys, scale: float) -> Iterator[tuple[str, Update]]:
        up, down = self._numbers(keys["up"]), self._numbers(keys["down"])
        weights = [f"{name}.weight" for name in layer.names]
        ups = self._by_name(layer, up)
        if "magnitude" not in keys:
            if self.settings.decomposed:
                raise _refusal(self.files, keys["down"], "lacks the magnitude of a DoRA")
            for weight, part in zip(weights, ups, strict=True):
                yield weight, LowRank(part, down, scale * self.weight)
            return
        magnitudes = self._magnitudes(layer, keys["magnitude"])
        for weight, part, magnitude in zip(weights, ups, magnitudes, strict=True):
            yield weight, Decomposed(LowRank(part, down, scale), magnitude, self.weight)

    def _magnitudes(self, layer: Layer, key: str) -> list[torch.Tensor]:
        """Return the norms of a DoRA, [rows, 1] of each module, or [1, columns]."""
        values, shape = self._numbers(key), self._shape(layer, "weight")
        if values.ndim == 1 and "lora_magnitude_vector" in key:
            values = values[:, None]
        if values.shape == (shape[0], 1):
            return self._by_name(layer, values)
        if values.shape != (1, shape[1]):
            reason = f"is {list(values.shape)}, expected {[shape[0], 1]} or {[1, shape[1]]}"
            raise _refusal(self.files, key, reason)
        if len(layer.names) > 1:
            reason = (
                f"gives norms across {', '.join(layer.names)}, which cannot be merged one by one"
            )
            raise _refusal(self.files, key, reason)
        return [values]

    def _differences(
        self, layer: Layer, keys: _Keys, part: Part, kind: str, scale: float
    ) -> Iterator[tuple[str, Update]]:
        if part not in keys:
            return
        key, names = keys[part], [f"{name}.{kind}" for name in layer.names]
        if any(name not in self.shapes for name in names):
            self.refuse_unless_zero({part: key})
            return
        found, expected = self.files.shapes[key], self._shape(layer, kind)
        if found != expected:
            reason = f"is {list(found)}, expected {list(expected)}"
            raise _refusal(self.files, key, reason)
        values = self._by_name(layer, self._numbers(key))
        for name, rows in zip(names, values, strict=True):
            yield name, Difference(rows, scale * self.weight)

    def _shape(self, layer: Layer, kind: str) -> Shape:
        """Return the shape of a layer's weights or biases, one below the other."""
        shapes = [self.shapes[f"{name}.{kind}"] for name in layer.names]
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def _by_name(self, layer: Layer, values: torch.Tensor) -> list[torch.Tensor]:
        """Return the rows of each module of a layer."""
        if layer.halves_swapped:
            return [torch.cat(values.chunk(2)[::-1])]
        return list(torch.split(values, [self.shapes[f"{n}.weight"][0] for n in layer.names]))

    def _numbers(self, key: str) -> torch.Tensor:
        tensor = self.files.read(key)
        if not tensor.is_floating_point():
            reason = (
                f"holds {str(tensor.dtype).removeprefix('torch.')}; quantized LoRAs are not read"
            )
            raise _refusal(self.files, key, reason)
        if not torch.stack(tensor.float().aminmax()).isfinite().all():  # faster than on each
            raise _refusal(self.files, key, "holds numbers that are not finite")
        return tensor


def _reason_without_place(key: str) -> str:
    if is_of_text_encoder(key):
        return "changes a text encoder, and LoRAs are merged into the transformer only"
    if split_key(key)[1] == "unread":
        return "is not a part of a LoRA that can be merged"
    return "names no layer of this model's transformer"
