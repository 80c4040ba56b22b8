"""The original's way of working, as a baseline: nothing is merged, hoisted or compiled.

The LoRA's two matrices are applied beside each layer, and every step embeds the text, encodes the
styles with SigLIP, projects them, and computes the positions again. Written from a description of
the original, on diffusers' transformer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from diffusers import FluxTransformer2DModel
from PIL import Image
from torch import nn
from transformers import PreTrainedTokenizerBase

from benchmarks.engine.models import RandomModel
from uso_core.loading.key_mapping import lora_targets
from uso_core.loading.lora import Lora
from uso_core.model.components import Components
from uso_core.model.decode import decode
from uso_core.model.denoise import Latents, make_noise
from uso_core.model.encoders import CLIP_TOKENS, encode_content
from uso_core.model.geometry import pack, position_ids
from uso_core.model.inputs import PreparedRequest, prepare
from uso_core.model.schedule import make_scheduler
from uso_core.model.sizes import Size
from uso_core.request import StylizeRequest

_T5_TOKENS = 512


@dataclass(frozen=True, eq=False)
class OriginalInputs:
    """The values that the original computes once per image.

    Attributes:
        text: [1, 512, 4096]: T5's states.
        pooled: [1, 768]: CLIP's pooled output.
        content: [1, m, 64].
        styles: SigLIP's inputs, [1, 3, S, S] each.
        ids: [n + m, 3], positions of the latents and the content.
        request: the prepared request.
    """

    text: torch.Tensor
    pooled: torch.Tensor
    content: torch.Tensor
    styles: tuple[torch.Tensor, ...]
    ids: torch.Tensor
    request: PreparedRequest


class OriginalWay:
    """Generates as the original does; has the methods of a `USOPipeline` that are measured."""

    def __init__(self, model: RandomModel) -> None:
        """Take over `model`; its transformer is changed."""
        # `Components` takes its device and dtype from this; the tiny model's would be wrong.
        embedder = model.transformer.context_embedder
        self._others = replace(model.others, context_embedder=embedder)
        self._transformer = model.transformer
        self._dtype, self._device = model.transformer.dtype, model.transformer.device
        _add_lora_layers(model.transformer, model.lora)
        self._context = _StyledContext(embedder, model.others)
        model.transformer.context_embedder = self._context

    def prepare(self, request: StylizeRequest) -> PreparedRequest:
        """Prepare a request as our pipeline does."""
        return prepare(request, self._others.limits, self._others.image_processor)

    @torch.no_grad()
    def condition(self, prepared: PreparedRequest) -> OriginalInputs:
        """Encode the prompt and the content image."""
        others = self._others
        hidden = others.text_encoder_2(self._ids(others.tokenizer_2, prepared.prompt, _T5_TOKENS))
        pooled = others.text_encoder(self._ids(others.tokenizer, prepared.prompt, CLIP_TOKENS))
        sizes, content = [prepared.size], torch.empty(1, 0, 64)
        if prepared.content is not None:
            sizes.append(Size(*prepared.content.size))
            content = encode_content(others, prepared.content)
        return OriginalInputs(
            text=hidden.last_hidden_state.to(self._dtype),
            pooled=pooled.pooler_output.to(self._dtype),
            content=content.to(self._device, self._dtype),
            styles=tuple(each for each in prepared.styles if isinstance(each, torch.Tensor)),
            ids=torch.cat(position_ids(sizes)).to(self._device),
            request=prepared,
        )

    @torch.no_grad()
    def denoise(self, inputs: OriginalInputs, seed: int) -> Latents:
        """Run Euler steps, each of which starts from the styles' pixels."""
        request, dtype, device = inputs.request, self._dtype, self._device
        channels = self._transformer.config.in_channels // 4
        tokens = pack(make_noise(seed, request.size, channels, dtype=dtype, device=device))
        scheduler = make_scheduler(request.num_steps, request.size, device)
        self._context.styles = inputs.styles
        context_ids = torch.zeros(self._context.tokens + _T5_TOKENS, 3, device=device)
        for step, timestep in enumerate(scheduler.timesteps):
            velocity = self._transformer(
                hidden_states=torch.cat([tokens, inputs.content], dim=1),
                encoder_hidden_states=inputs.text,
                pooled_projections=inputs.pooled,
                timestep=scheduler.sigmas[step].expand(1),
                guidance=torch.full((1,), request.guidance, device=device),
                txt_ids=context_ids,
                img_ids=inputs.ids,
                return_dict=False,
            )[0][:, : tokens.shape[1]]
            tokens = scheduler.step(velocity, timestep, tokens, return_dict=False)[0]
        return Latents(tokens, request.size)

    @torch.no_grad()
    def decode(self, latents: Latents) -> Image.Image:
        """Decode with the VAE, as our pipeline does."""
        return decode(self._others.vae, latents).image()

    def _ids(self, tokenizer: PreTrainedTokenizerBase, prompt: str, length: int) -> torch.Tensor:
        encoding = tokenizer(
            prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        ids: torch.Tensor = encoding.input_ids
        return ids.to(self._device)


class _StyledContext(nn.Module):
    """Embeds text and puts the styles' tokens before it, encoded again at each call."""

    def __init__(self, embedder: nn.Linear, others: Components) -> None:
        super().__init__()
        self._embedder = embedder
        # In the transformer's dtype, as in the original.
        self._encoder = nn.Module.to(others.image_encoder, embedder.weight.dtype)
        self._projector = nn.Module.to(others.style_projector, embedder.weight.dtype)
        self.styles: tuple[torch.Tensor, ...] = ()

    @property
    def tokens(self) -> int:
        """Number of tokens of all styles."""
        return len(self.styles) * 3 * int(self._projector.config.style_token_nums)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        return torch.cat([*map(self._encode, self.styles), self._embedder(text)], dim=1)

    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        moved = pixels.to(self._embedder.weight.device, self._embedder.weight.dtype)
        states = self._encoder(moved, output_hidden_states=True).hidden_states
        tokens: torch.Tensor = self._projector(states)
        return tokens


class _LoraLinear(nn.Module):
    """A linear layer with a low-rank update beside it."""

    def __init__(self, base: nn.Linear, up: torch.Tensor, down: torch.Tensor) -> None:
        super().__init__()
        self._base, self._up, self._down = base, up, down

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self._base(x) + (x @ self._down.T) @ self._up.T
        return result


def _add_lora_layers(transformer: FluxTransformer2DModel, lora: Lora) -> None:
    """Fuse queries, keys and values into one layer with one update, as in the original."""
    config = transformer.config
    for block in (*transformer.transformer_blocks, *transformer.single_transformer_blocks):
        block.attn.fuse_projections()
    for names in lora_targets(config.num_layers, config.num_single_layers).values():
        up = torch.cat([lora.pairs[name][0] for name in names])
        down = lora.pairs[names[0]][1]
        layers = [name.removesuffix(".weight") for name in names]
        place = layers[0]
        if len(layers) > 1:
            for layer in layers:
                transformer.set_submodule(layer, nn.Identity())  # its weights are fused: free them
            fused = "to_added_qkv" if place.endswith("add_q_proj") else "to_qkv"
            place = f"{place.rpartition('.')[0]}.{fused}"
        base = transformer.get_submodule(place)
        transformer.set_submodule(place, _LoraLinear(base, up, down))
