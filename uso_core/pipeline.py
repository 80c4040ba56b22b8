"""The pipeline of USO on FLUX.1: turns requests into images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike, fspath
from typing import TypeAlias

import torch
from PIL import Image

from uso_core.diffusers_habits import dtype_of
from uso_core.loading.demo import DEMO
from uso_core.loading.source import ModelSource
from uso_core.loading.weights import load_components
from uso_core.model.cache import ByteBoundedCache, Lookups
from uso_core.model.components import Components
from uso_core.model.conditioning import Conditioning, make_conditioning
from uso_core.model.decode import decode
from uso_core.model.denoise import Latents, OnStep, denoise
from uso_core.model.images import Pixels
from uso_core.model.inputs import PreparedRequest, prepare
from uso_core.model.style_tokens import check_encoded, pooled_style
from uso_core.pipeline_call import PipelineCall
from uso_core.presets import EXACT, PRESETS, Attention, Preset, PresetName
from uso_core.request import EncodedStyle, Limits, StylizeRequest
from uso_core.runtime.attention import use_attention
from uso_core.runtime.compiling import compile_blocks
from uso_core.runtime.step_cache import enable_step_cache

DEFAULT_CACHE_BYTES = 256 * 2**20

Location: TypeAlias = str | PathLike[str]
"""A path or a Hub id."""


class USOPipeline(PipelineCall):
    """Generates images with USO. An image depends on its request alone, not on earlier requests.

    One thread at a time may call it, because all calls share the models. Meanwhile any thread may
    call `prepare`, and one thread `decode_pixels` if `can_decode_beside` is true.

    Args:
        components: the loaded models.
        preset: the preset that was applied to them.
        cache_bytes: device memory for encoded prompts, styles and content images that may be used
            again; 0: nothing is kept.
    """

    def __init__(
        self,
        components: Components,
        *,
        preset: Preset = EXACT,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        super().__init__()
        self.components = components
        self.preset = preset
        self._cache = ByteBoundedCache(cache_bytes)

    @classmethod
    def load(
        cls,
        source: ModelSource,
        *,
        dtype: torch.dtype,
        device: torch.device | str,
        preset: Preset = EXACT,
        attention: Attention = "auto",
    ) -> USOPipeline:
        """Load the model that `source` describes.

        Args:
            source: locations of the files.
            dtype: dtype of the transformer and the text encoders; the VAE and SigLIP stay in
                float32.
            device: device to generate on.
            preset: one of `uso_core.presets.PRESETS`.
            attention: kernel of the transformer's attention.

        Raises:
            CheckpointError: a file is missing or does not match the model. A missing file is told
                before a missing GPU.
            NoSuchDeviceError: PyTorch does not find the GPU.
            UnsupportedPresetError: the device cannot run the preset.
            RuntimeError: the package that `flash_3` needs is missing or too old.
        """
        device = torch.device(device)
        components = load_components(source, dtype=dtype, device=device, preset=preset)
        use_attention(components.transformer, attention, device)
        return cls(components, preset=preset)

    @classmethod
    def from_pretrained(  # noqa: PLR0913 (the weights have three places)
        cls,
        base: Location,
        *,
        uso: Location = ModelSource.uso,
        siglip: Location = ModelSource.siglip,
        base_revision: str | None = None,
        dtype: torch.dtype = torch.bfloat16,
        torch_dtype: torch.dtype | str | None = None,
        device: torch.device | str = "cuda",
        preset: PresetName = "exact",
    ) -> USOPipeline:
        """Load Hub ids or local folders; to pin other revisions, use `load`.

        Args:
            base: FLUX.1-dev: a Hub id or a folder in diffusers' layout.
            uso: the USO weights: a Hub id or a folder.
            siglip: SigLIP: a Hub id or a folder.
            base_revision: branch, tag or commit of `base` at the Hub.
            dtype: see `load`.
            torch_dtype: the same, by its name in diffusers; also as text, such as `bfloat16`.
            device: device to generate on.
            preset: see `load`.

        Raises:
            CheckpointError, NoSuchDeviceError, UnsupportedPresetError: see `load`.
        """
        source = ModelSource(fspath(base), fspath(uso), fspath(siglip), base_revision)
        dtype = dtype if torch_dtype is None else dtype_of(torch_dtype)
        return cls.load(source, dtype=dtype, device=device, preset=PRESETS[preset])

    @classmethod
    def from_original(
        cls,
        folder: Location,
        *,
        dtype: torch.dtype = torch.bfloat16,
        device: torch.device | str = "cuda",
    ) -> USOPipeline:
        """Load a folder that USO's own downloader has filled.

        Raises:
            CheckpointError, NoSuchDeviceError: see `load`.
        """
        return cls.load(ModelSource(base=fspath(folder)), dtype=dtype, device=device)

    @classmethod
    def demo(cls) -> USOPipeline:
        """Load the demo model, a toy in this package, on the CPU in float32."""
        return cls.load(ModelSource(base=DEMO), dtype=torch.float32, device="cpu")

    @classmethod
    def tiny(cls, seed: int = 0) -> USOPipeline:
        """Load a small model with random weights, on the CPU in float32; it generates noise."""
        return cls.load(ModelSource(base=f"tiny:{seed}"), dtype=torch.float32, device="cpu")

    def prepare(self, request: StylizeRequest) -> PreparedRequest:
        """Check a request and prepare its images, on the CPU alone; callable from any thread.

        Raises:
            InvalidRequestError: the request is outside `limits`.
        """
        for place, style in enumerate(request.style_images):
            if isinstance(style, EncodedStyle):
                check_encoded(self.components, style, place)
        prepared = prepare(request, self.limits, self.components.image_processor)
        return replace(prepared, num_steps=self.preset.steps(prepared.num_steps))

    @torch.no_grad()
    def condition(self, request: StylizeRequest | PreparedRequest) -> Conditioning:
        """Compute everything that is the same at every step of every image of a request.

        Raises:
            InvalidRequestError: the request is outside `limits`.
        """
        if isinstance(request, StylizeRequest):
            request = self.prepare(request)
        return make_conditioning(self.components, request, self._cache)

    @torch.no_grad()
    def denoise(
        self, conditioning: Conditioning, seed: int, on_step: OnStep | None = None
    ) -> Latents:
        """Denoise one image; see `denoise_batch`."""
        return self.denoise_batch([conditioning], [seed], on_step)[0]

    @torch.no_grad()
    def denoise_batch(
        self,
        conditionings: Sequence[Conditioning],
        seeds: Sequence[int],
        on_step: OnStep | None = None,
    ) -> list[Latents]:
        """Denoise several images at once, which is faster for small images.

        Their last bits depend on the number of images.

        Args:
            conditionings: conditioning of each image's request; all share their batch key.
            seeds: seed of each image's noise.
            on_step: called after each step with the steps done and the steps in all. An error that
                it raises ends the batch, and the pipeline stays usable.

        Raises:
            ValueError: the requests have different batch keys.
        """
        return denoise(self.components, conditionings, seeds, on_step)

    def decode(self, latents: Latents) -> Image.Image:
        """Decode latents to an RGB image.

        Raises:
            FloatingPointError: the result holds NaN.
        """
        return self.decode_pixels(latents).image()

    @torch.no_grad()
    def decode_pixels(self, latents: Latents) -> Pixels:
        """Decode latents on the device, without waiting for it."""
        return decode(self.components.vae, latents)

    @torch.no_grad()
    def encode_styles(
        self, images: Sequence[Image.Image], weights: Sequence[float] | None = None
    ) -> EncodedStyle:
        """Encode images as one style, which requests take in place of a style image.

        Args:
            images: at least one; their tokens are averaged.
            weights: the share of each image, above 0; None: the same for each.

        Raises:
            ValueError: there is no image, or not one weight above 0 for each.
        """
        shares = [1.0] * len(images) if weights is None else [float(each) for each in weights]
        if not images or len(shares) != len(images) or min(shares) <= 0:
            raise ValueError("give at least one image, and one weight above 0 for each")
        return pooled_style(self.components, images, shares)

    def compile(self) -> None:
        """Compile the transformer's blocks; the first image of the process then takes longer."""
        transformer, threshold = self.components.transformer, self.preset.cache_threshold
        if threshold is None:
            compile_blocks(transformer)
            return
        transformer.disable_cache()
        compile_blocks(transformer)
        enable_step_cache(transformer, threshold)

    @property
    def limits(self) -> Limits:
        """The ranges that the checkpoint accepts."""
        return self.components.limits

    @property
    def can_batch(self) -> bool:
        """True unless a step cache would let one image decide about the steps of another."""
        return self.preset.cache_threshold is None

    @property
    def can_decode_beside(self) -> bool:
        """True unless the VAE's weights come from the host layer by layer.

        Those of the encoders do so, too, by hooks that two threads must not be in at once.
        """
        return self.preset.encoders == "device"

    @property
    def cache_lookups(self) -> dict[str, Lookups]:
        """Cache lookups of prompts, styles and content images so far."""
        return self._cache.lookups

    @property
    def device(self) -> torch.device:
        """The device that generates."""
        return self.components.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the transformer."""
        return self.components.dtype
