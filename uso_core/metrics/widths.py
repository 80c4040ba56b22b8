"""The widths of the layers in a file, from which a network without a configuration is built."""

from __future__ import annotations

from collections.abc import Sequence

from uso_core.errors import CheckpointError
from uso_core.loading.tensor_files import TensorFiles


def layer_widths(
    tensors: TensorFiles, network: str, stack: str, numbers: Sequence[int], *, dimensions: int
) -> dict[int, tuple[int, int]]:
    """Return the inputs and outputs of each layer, by its number.

    Args:
        tensors: the file.
        network: name of the network, for messages.
        stack: name of the list of layers: the weight of a layer is `stack.number.weight`.
        numbers: numbers of the layers that have weights.
        dimensions: dimensions of these weights; outputs are the first one, and inputs the second.

    Raises:
        CheckpointError: a layer is missing, or has other dimensions.
    """
    widths = {}
    for at in numbers:
        weight = f"{stack}.{at}.weight"
        shape = tensors.shapes.get(weight, ())
        if len(shape) != dimensions:
            raise CheckpointError(
                tensors.name,
                f"is not {network}: it has no {weight}; give the file that docs/scores.md names",
            )
        widths[at] = (shape[1], shape[0])
    return widths
