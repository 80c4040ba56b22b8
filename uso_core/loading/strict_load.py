"""Fills a module with the tensors of a file; every key and shape must match."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import nn

from uso_core.errors import CheckpointError
from uso_core.loading.key_mapping import Rule
from uso_core.loading.tensor_files import Shape, TensorFiles

_MAX_LISTED = 5


@dataclass(frozen=True)
class Destination:
    """The dtype and device of loaded tensors."""

    dtype: torch.dtype
    device: torch.device


def identity_rules(targets: Iterable[str]) -> list[Rule]:
    """Return the rules for a file that uses the module's own names."""
    return [Rule(target, (target,)) for target in targets]


def load_strictly(
    module: nn.Module,
    files: TensorFiles,
    rules: Sequence[Rule],
    destination: Destination,
    *,
    merge: Callable[[str, torch.Tensor], torch.Tensor] | None = None,
    tied: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Fill `module`, whose parameters are on the meta device, one tensor at a time.

    Peak memory is the weights loaded so far plus one tensor in float32.

    Args:
        module: is moved to the device and put into eval mode, without gradients.
        files: the component's tensors.
        rules: one for each key; together they fill every parameter of the module but the tied.
        destination: dtype and device of the parameters.
        merge: called with a parameter's name and its tensor, before the cast to the dtype.
        tied: second names of parameters → the names under which they are loaded.

    Raises:
        CheckpointError: a key is missing, unknown, or has the wrong shape.
    """
    shapes = shapes_of(module)
    check_keys(files, file_shapes(rules, shapes))
    state: dict[str, torch.Tensor] = {}
    position = {key: i for i, key in enumerate(files.shapes)}
    for rule in sorted(rules, key=lambda rule: position[rule.source]):
        start = 0
        for target in rule.targets:
            stop = start + shapes[target][0]
            tensor = _read(files, rule, start, stop).to(destination.device)
            tensor = tensor.reshape(shapes[target])
            tensor = merge(target, tensor) if merge else tensor
            # A copy: the module must not change when the memory-mapped file does.
            state[target] = tensor.to(
                destination.dtype, copy=True, memory_format=torch.contiguous_format
            )
            start = stop
    state |= {alias: state[name] for alias, name in tied.items()}
    module.load_state_dict(state, strict=True, assign=True)
    module.to(destination.device).requires_grad_(requires_grad=False).eval()


def check_keys(files: TensorFiles, expected: Mapping[str, Shape]) -> None:
    """Raise `CheckpointError` unless `files` holds exactly the `expected` keys, in their shapes."""
    missing = [key for key in expected if key not in files.shapes]
    extra = [key for key in files.shapes if key not in expected]
    wrong = [
        f"{key} is {list(files.shapes[key])}, expected {list(shape)}"
        for key, shape in expected.items()
        if key in files.shapes and files.shapes[key] != shape
    ]
    faults = [("missing", missing), ("unknown", extra), ("of the wrong shape", wrong)]
    if found := [f"{what}: {_listed(keys)}" for what, keys in faults if keys]:
        raise CheckpointError(files.name, f"does not fit the model; keys {'; '.join(found)}")


def shapes_of(module: nn.Module) -> dict[str, Shape]:
    """Return the shape of each of a module's parameters."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def file_shapes(rules: Iterable[Rule], shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the keys and shapes of a file whose `rules` fill a module with these `shapes`."""
    return {rule.source: _file_shape(rule, shapes) for rule in rules}


def read_floats(
    files: TensorFiles, key: str, start: int | None = None, stop: int | None = None
) -> torch.Tensor:
    """Read a tensor as `TensorFiles.read` does.

    Raises:
        CheckpointError: it holds whole numbers: without a scale, they are not weights.
    """
    tensor = files.read(key, start, stop)
    if not tensor.is_floating_point():
        dtype = str(tensor.dtype).removeprefix("torch.")
        raise CheckpointError(files.name, f"{key} holds {dtype}; quantized files are not supported")
    return tensor


def _file_shape(rule: Rule, shapes: Mapping[str, Shape]) -> Shape:
    rows = sum(shapes[target][0] for target in rule.targets)
    shape = (rows, *shapes[rule.targets[0]][1:])
    return (*shape, 1, 1) if rule.transform == "conv_1x1" else shape


def _read(files: TensorFiles, rule: Rule, start: int, stop: int) -> torch.Tensor:
    if len(rule.targets) > 1:
        return read_floats(files, rule.source, start, stop)
    whole = read_floats(files, rule.source)
    return torch.cat(whole.chunk(2)[::-1]) if rule.transform == "halves_swapped" else whole


def _listed(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _MAX_LISTED} more" if len(keys) > _MAX_LISTED else ""
    return ", ".join(keys[:_MAX_LISTED]) + more
