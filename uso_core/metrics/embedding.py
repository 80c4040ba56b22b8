"""Vectors of images: computed in one batch, and remembered for images that come again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from PIL import Image

from uso_core.metrics.pixels import Crop

Network = Callable[[torch.Tensor], torch.Tensor]
"""`[n, 3, H, W]` normalized pixels → `[n, …]`."""


class Keyed(Protocol):
    """An RGB image, and a hash of its pixels."""

    @property
    def image(self) -> Image.Image:
        """The image."""
        ...

    @property
    def key(self) -> bytes:
        """The hash: images with the same key have the same pixels."""
        ...


class Embedder:
    """A network with a memory of the last images. Thread-safe: one thread at a time computes."""

    def __init__(
        self, network: Network, crop: Crop, device: torch.device, *, remembered: int = 512
    ) -> None:
        """Take a network that is on the device.

        Args:
            network: computes a vector of each image.
            crop: prepares an image.
            device: the device of the network.
            remembered: number of vectors that are kept.
        """
        self._network, self._crop, self._device = network, crop, device
        self._remembered = remembered
        self._known: OrderedDict[bytes, torch.Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, images: Sequence[Keyed]) -> list[torch.Tensor]:
        """Return a vector `[d]` of each image, float32 on the CPU; new images in one batch."""
        with self._lock:
            new = {image.key: image for image in images if image.key not in self._known}
            found = dict(zip(new, self._vectors(list(new.values())), strict=True))
            for image in images:
                vector = found.get(image.key)
                found[image.key] = self._known[image.key] if vector is None else vector
                self._known[image.key] = found[image.key]
                self._known.move_to_end(image.key)
            while len(self._known) > self._remembered:
                self._known.popitem(last=False)
        return [found[image.key] for image in images]

    @torch.inference_mode()
    def _vectors(self, images: Sequence[Keyed]) -> list[torch.Tensor]:
        if not images:
            return []
        pixels = torch.stack([self._crop(each.image) for each in images]).to(self._device)
        vectors = self._network(pixels).to("cpu", torch.float32)
        return list(vectors.flatten(1).clone())


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the cosine of the angle between two vectors `[d]`, -1 to 1."""
    similarity = torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=0)
    return float(similarity.clamp(-1, 1))
