"""The VAE: an encoder in closed form, and a decoder that is trained.

The encoder is linear: the first 15 principal components of 8x8 blocks of pixels, written into
strided convolutions. Its last channel is 0 in what it encodes. In what the transformer draws, that
channel is a `carrier`, which tells the four blocks of a token apart: convolutions alone cannot draw
a texture that repeats in every block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn import functional

from uso_core.loading.model_configs import vae_arguments

COMPONENTS, CHANNELS = 15, 16
AE_PARAMS = {
    "in_channels": 3,
    "out_ch": 3,
    "ch": 32,
    "ch_mult": [1, 1, 1, 1],
    "num_res_blocks": 0,
    "z_channels": CHANNELS,
    "scale_factor": 1.0,
    "shift_factor": 0.0,
    "norm_groups": 2,
}
_OFFSET = 150.0
"""Constant in the channels before the encoder's last norm, which makes it nearly linear."""


@dataclass(frozen=True)
class Basis:
    """The linear code of 8x8 blocks.

    Attributes:
        matrix: [COMPONENTS, 192], from pixels of a block (channel, row, column), -1 to 1.
        mean: [COMPONENTS], subtracted from the code.
        inverse: [192, COMPONENTS], back to pixels.
        weights: [CHANNELS], share of each channel in the error of pixels; their mean is 1.
    """

    matrix: torch.Tensor
    mean: torch.Tensor
    inverse: torch.Tensor
    weights: torch.Tensor

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Encode [B, 3, H, W], 0 to 1, as latents [B, CHANNELS, H/8, W/8]."""
        kernels = self.matrix.reshape(COMPONENTS, 3, 8, 8)
        code = functional.conv2d(pictures * 2 - 1, kernels, -self.mean, stride=8)
        return functional.pad(code, (0, 0, 0, 0, 0, CHANNELS - COMPONENTS))

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode linearly, without the trained decoder: the bound of what a code holds."""
        code = latents[:, :COMPONENTS] + self.mean[:, None, None]
        blocks = self.inverse.T.reshape(COMPONENTS, 3, 8, 8)
        return (functional.conv_transpose2d(code, blocks, stride=8) + 1) / 2


def carrier(height: int, width: int) -> torch.Tensor:
    """Return the last channel of drawn latents, [height, width]: which block of its token."""
    tile = torch.tensor([[1.5, 0.5], [-0.5, -1.5]])
    return tile.repeat(height // 2, width // 2)


def with_carrier(latents: torch.Tensor) -> torch.Tensor:
    """Put the carrier into the last channel."""
    marked = latents.clone()
    marked[:, -1] = carrier(*latents.shape[2:])
    return marked


def fit_basis(pictures: torch.Tensor) -> Basis:
    """Fit the code to pictures [B, 3, H, W], 0 to 1.

    The components come in steps that a chain of convolutions can compute: 2x2 pixels as they are,
    then 32 components of 4x4 pixels, then 15 of 8x8.
    """
    blocks = _blocks(pictures * 2 - 1, 4)
    small = _components(blocks, 32)
    # A block of 8x8 as its four quarters, each in 32 components.
    codes = functional.conv2d(pictures * 2 - 1, small.reshape(32, 3, 4, 4), stride=4)
    quarters = functional.unfold(codes, 2, stride=2).transpose(1, 2).reshape(-1, 128)
    large = _components(quarters, COMPONENTS)
    matrix = torch.zeros(COMPONENTS, 3, 8, 8)
    for row in range(2):
        for column in range(2):
            part = large.reshape(COMPONENTS, 32, 2, 2)[:, :, row, column] @ small
            rows, columns = slice(row * 4, row * 4 + 4), slice(column * 4, column * 4 + 4)
            matrix[:, :, rows, columns] = part.reshape(COMPONENTS, 3, 4, 4)
    flat = matrix.reshape(COMPONENTS, -1)
    codes = _blocks(pictures * 2 - 1, 8) @ flat.T
    deviation = codes.std(0)
    scale = deviation**-0.5
    scale = scale / (deviation * scale).pow(2).mean().sqrt()  # deviations near 1, falling slowly
    weights = functional.pad(scale**-2, (0, 1))
    weights = weights / weights.mean()
    return Basis(flat * scale[:, None], codes.mean(0) * scale, flat.T / scale, weights)


def _blocks(pictures: torch.Tensor, side: int) -> torch.Tensor:
    unfolded = functional.unfold(pictures, side, stride=side)
    return unfolded.transpose(1, 2).reshape(-1, 3 * side**2)


def _components(rows: torch.Tensor, count: int) -> torch.Tensor:
    """Return the leading directions of rows, [count, columns], orthonormal."""
    centred = rows - rows.mean(0)
    _, vectors = torch.linalg.eigh(centred.T @ centred / len(rows))
    leading: torch.Tensor = vectors.flip(1).T[:count].contiguous()
    return leading


def make_vae(basis: Basis) -> AutoencoderKL:
    """Return the VAE with the encoder of `basis` and a decoder that is yet to be trained."""
    vae = AutoencoderKL(**vae_arguments(AE_PARAMS))
    for name, parameter in vae.named_parameters():
        if name.endswith(("conv2.weight", "conv2.bias", "to_out.0.weight", "to_out.0.bias")):
            nn.init.zeros_(parameter)  # residual branches start silent, and the encoder's stay so
    _write_encoder(vae, basis)
    vae.encoder.requires_grad_(requires_grad=False)
    return vae


@torch.no_grad()
def _write_encoder(vae: AutoencoderKL, basis: Basis) -> None:
    """Write a chain of convolutions that computes `basis.encode` up to rounding."""
    encoder = vae.encoder
    for module in (encoder.conv_in, encoder.conv_out, *_strided(vae)):
        nn.init.zeros_(module.weight)
        nn.init.zeros_(module.bias)
    first, second, third = _strided(vae)
    for channel in range(3):
        encoder.conv_in.weight[channel, channel, 1, 1] = 1
        for place in range(4):  # 2x2 pixels side by side, as they are
            first.weight[channel * 4 + place, channel, place // 2, place % 2] = 1
    small, large = _factors(basis)
    for row in range(2):
        for column in range(2):
            quarter = small.reshape(32, 3, 2, 2, 2, 2)[:, :, row, :, column, :].reshape(32, 12)
            second.weight[:, :12, row, column] = quarter
            half = large.reshape(COMPONENTS, 32, 2, 2)[:, :, row, column]
            for group in range(2):
                rows = slice(8 * group, min(8 * group + 8, COMPONENTS))
                count = rows.stop - rows.start
                third.weight[16 * group : 16 * group + count, :, row, column] = half[rows]
                third.weight[16 * group + 8 : 16 * group + 8 + count, :, row, column] = -half[rows]
    signs = torch.tensor([1.0, -1.0]).repeat(16) * _OFFSET
    assert third.bias is not None
    third.bias.copy_(signs)
    # The norm leaves (signal + offset) / offset; its bias takes the offset away again. SiLU(x) -
    # SiLU(-x) is x, so the difference of a signal and its negative is exact.
    deviation = math.sqrt(_OFFSET**2 + 1.0)
    encoder.conv_norm_out.weight.fill_(1.0)
    encoder.conv_norm_out.bias.copy_(-signs / deviation)
    for index in range(COMPONENTS):
        base = 16 * (index // 8) + index % 8
        encoder.conv_out.weight[index, base, 1, 1] = deviation
        encoder.conv_out.weight[index, base + 8, 1, 1] = -deviation
        encoder.conv_out.bias[index] = -basis.mean[index]


def _strided(vae: AutoencoderKL) -> list[nn.Conv2d]:
    return [block.downsamplers[0].conv for block in vae.encoder.down_blocks if block.downsamplers]


def _factors(basis: Basis) -> tuple[torch.Tensor, torch.Tensor]:
    """Split the code into 32 directions of 4x4 pixels, and the code of four such quarters."""
    quarters = basis.matrix.reshape(COMPONENTS, 3, 2, 4, 2, 4).permute(2, 4, 0, 1, 3, 5)
    rows = quarters.reshape(4 * COMPONENTS, 48)
    _, _, directions = torch.linalg.svd(rows, full_matrices=False)
    small = directions[:32]
    large = (quarters.reshape(2, 2, COMPONENTS, 48) @ small.T).permute(2, 3, 0, 1)
    return small.reshape(32, 48), large.reshape(COMPONENTS, 128)
