"""CLIP and DINO from transformers' files, as UNO's evaluation uses them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from transformers import CLIPModel, CLIPTokenizer, PreTrainedModel, ViTModel
from transformers.utils import logging as transformers_logging

from uso_core.errors import CheckpointError
from uso_core.loading.component_files import ComponentFiles
from uso_core.metrics.embedding import Embedder
from uso_core.metrics.pixels import IMAGENET_MEAN, IMAGENET_STD, Crop

CLIP_CROP = Crop(224, 224)
DINO_CROP = Crop(256, 224, IMAGENET_MEAN, IMAGENET_STD)
_TOKENS = 77
_PROMPTS = 1024


class Clip:
    """CLIP's two towers. Thread-safe."""

    def __init__(self, files: ComponentFiles, device: torch.device) -> None:
        """Load them in float32.

        Args:
            files: config, weights and vocabulary, on disk.
            device: the device that computes.

        Raises:
            CheckpointError: the files do not hold this model.
        """
        self._model = _loaded(CLIPModel, files, device)
        with _readable(files):
            self._tokenizer = CLIPTokenizer.from_pretrained(files.folder, local_files_only=True)
        self._device = device
        self._lock = threading.Lock()
        self._of_text = lru_cache(_PROMPTS)(self._embed_text)
        self.images = Embedder(self._embed_pixels, _crop(CLIP_CROP, self._model), device)
        """Embeds images, `[projection_dim]`."""

    def text(self, prompt: str) -> torch.Tensor:
        """Return the embedding of a prompt, `[projection_dim]`; what follows token 77 is cut."""
        with self._lock:
            return self._of_text(prompt)

    def _embed_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = self._model.get_image_features(pixels).pooler_output
        return embedded

    @torch.inference_mode()
    def _embed_text(self, prompt: str) -> torch.Tensor:
        tokens = self._tokenizer(
            prompt, truncation=True, max_length=_TOKENS, return_tensors="pt"
        ).to(self._device)
        embedded: torch.Tensor = self._model.get_text_features(**tokens).pooler_output
        return embedded[0].to("cpu", torch.float32)


def clip_vision(files: ComponentFiles, device: torch.device) -> Embedder:
    """Load CLIP's image tower alone.

    Raises:
        CheckpointError: the files do not hold this model.
    """
    model = _loaded(CLIPModel, files, torch.device("cpu"))
    crop = _crop(CLIP_CROP, model)
    vision, projection = model.vision_model.to(device), model.visual_projection.to(device)

    def network(pixels: torch.Tensor) -> torch.Tensor:
        projected: torch.Tensor = projection(vision(pixel_values=pixels).pooler_output)
        return projected

    return Embedder(network, crop, device)


def dino(files: ComponentFiles, device: torch.device) -> Embedder:
    """Load DINO's vision transformer; an image's vector is its class token after the last norm.

    Raises:
        CheckpointError: the files do not hold this model.
    """
    model = _loaded(ViTModel, files, device, add_pooling_layer=False)

    def network(pixels: torch.Tensor) -> torch.Tensor:
        token: torch.Tensor = model(pixel_values=pixels).last_hidden_state[:, 0]
        return token

    return Embedder(network, _crop(DINO_CROP, model), device)


def _crop(usual: Crop, model: PreTrainedModel) -> Crop:
    """Return the crop for the image size of a model; other sizes are for small test models."""
    config = getattr(model.config, "vision_config", model.config)
    side = config.image_size
    return Crop(usual.resize * side // usual.side, side, usual.mean, usual.std)


def _loaded(
    kind: type[PreTrainedModel],
    files: ComponentFiles,
    device: torch.device,
    **more: bool,
) -> Any:  # noqa: ANN401 (transformers' classes are not typed)
    with _readable(files), _quiet():
        model, report = kind.from_pretrained(
            files.folder,
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
            **more,
        )
    lacks = sorted([*report["missing_keys"], *(str(each) for each in report["mismatched_keys"])])
    if lacks:
        more_keys = f" and {len(lacks) - 3} more" if len(lacks) > 3 else ""
        raise CheckpointError(
            str(files.weight_paths[0]),
            f"does not fit {kind.__name__}; keys missing, or of the wrong shape: "
            f"{', '.join(lacks[:3])}{more_keys}; give the weights that docs/scores.md names",
        )
    return model.to(device).requires_grad_(requires_grad=False).eval()


@contextmanager
def _readable(files: ComponentFiles) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # transformers raises no narrower type
        raise CheckpointError(
            str(files.folder), f"cannot be read ({error}); fetch it again"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from reporting keys of the other tower, and from showing a bar."""
    level, shows = (
        transformers_logging.get_verbosity(),
        transformers_logging.is_progress_bar_enabled(),
    )
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if shows:
            transformers_logging.enable_progress_bar()
