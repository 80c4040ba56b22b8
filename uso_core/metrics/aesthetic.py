"""LAION's aesthetic predictor, version 2: taste of people, from 1 to 10.

A small head on CLIP ViT-L/14's embedding of unit length, trained on ratings of SAC, LAION-Logos and
AVA: github.com/christophschuhmann/improved-aesthetic-predictor.
"""

from __future__ import annotations

import torch
from accelerate import init_empty_weights
from torch import nn

from uso_core.loading.component_files import ComponentFiles
from uso_core.loading.strict_load import Destination, identity_rules, load_strictly
from uso_core.loading.tensor_files import open_tensor_files
from uso_core.metrics.widths import layer_widths

_LINEAR = (0, 2, 4, 6, 7)  # dropout, which does nothing here, has the other numbers


class AestheticHead(nn.Module):
    """The head: five linear layers with nothing between them."""

    def __init__(self, widths: dict[int, tuple[int, int]]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Identity() for _ in range(max(_LINEAR) + 1)]
        for at, (inputs, outputs) in widths.items():
            layers[at] = nn.Linear(inputs, outputs)
        self.layers = nn.Sequential(*layers)

    @torch.inference_mode()
    def rate(self, embedding: torch.Tensor) -> float:
        """Return the rating of an image with this embedding, `[d]`, of any length."""
        return float(self.layers(nn.functional.normalize(embedding, dim=0)))


def aesthetic_head(files: ComponentFiles) -> AestheticHead:
    """Load the head, on the CPU.

    Args:
        files: one file, on disk.

    Raises:
        CheckpointError: the file does not hold this model.
    """
    tensors = open_tensor_files(files.weight_paths)
    with init_empty_weights(include_buffers=False):
        module = AestheticHead(
            layer_widths(tensors, "the aesthetic predictor", "layers", _LINEAR, dimensions=2)
        )
    destination = Destination(torch.float32, torch.device("cpu"))
    load_strictly(module, tensors, identity_rules(module.state_dict()), destination)
    return module
