"""Conversions between PIL images of any mode, RGB, and the models' tensors. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from PIL import Image, ImageCms

from uso_core.errors import InvalidRequestError
from uso_core.model.levels import FloatRange, UnclearRangeError, float_levels
from uso_core.model.sizes import Size, floor_to, scaled_size
from uso_core.runtime.transfer import to_host


def to_rgb(image: Image.Image, field: str = "image") -> Image.Image:
    """Return a new RGB image of the same size, with no transparency left in its `info`.

    Alpha is dropped, not composited: the colours under transparent pixels show, as in the original.
    16-bit grey (modes I;16 and I) is scaled to 8 bits. Mode F is read as 0..1 or 0..255, whichever
    holds 95% of the values other than 0. CMYK is converted with its embedded colour profile if that
    is usable.

    Args:
        image: an image of any mode.
        field: the name of the image in the request, for messages.

    Raises:
        InvalidRequestError: the values of mode F are in neither range.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        rgb = _grey16_to_rgb(image)
    elif image.mode == "F":
        rgb = _float_to_rgb(image, field)
    elif image.mode == "CMYK":
        rgb = _cmyk_to_rgb(image)
    elif image.mode in ("P", "PA", "RGBa"):
        # Via RGBA: converting a palette with several transparent entries directly warns.
        rgb = image.convert("RGBA").convert("RGB")
    elif image.mode == "La":
        rgb = image.convert("LA").convert("RGB")
    else:
        rgb = image.convert("RGB")
    rgb.info.pop("transparency", None)  # with it, SigLIP's processor would composite on white
    return rgb


def fit_content(image: Image.Image, long_size: int) -> Image.Image:
    """Scale the longer side to `long_size` with LANCZOS, then crop the centre to the 16 px grid."""
    scaled = scaled_size(Size(*image.size), long_size)
    if scaled != image.size:
        image = image.resize(scaled, Image.Resampling.LANCZOS)
    fitted = floor_to(scaled)
    if fitted == scaled:
        return image
    left, top = (scaled.width - fitted.width) // 2, (scaled.height - fitted.height) // 2
    return image.crop((left, top, left + fitted.width, top + fitted.height))


def image_to_tensor(image: Image.Image) -> torch.Tensor:
    """Convert an RGB image to [1, 3, H, W], float32, from -1 to 1."""
    pixels = torch.from_numpy(np.array(image))
    return (pixels.permute(2, 0, 1).unsqueeze(0) / 255) * 2 - 1


@dataclass(frozen=True, eq=False)
class Pixels:
    """A decoded image in a device's memory, possibly still being computed.

    Attributes:
        levels: [H, W, 3], uint8.
        has_nan: [], bool: True if a value was NaN, so that the output is not an image.
    """

    levels: torch.Tensor
    has_nan: torch.Tensor

    def to_host(self) -> Pixels:
        """Copy to the host; the copies are valid once the current stream has reached this point."""
        return Pixels(to_host(self.levels), to_host(self.has_nan))

    def image(self) -> Image.Image:
        """Return the RGB image, waiting for the device if the pixels are still there.

        Raises:
            FloatingPointError: the decoder gave NaN.
        """
        if self.has_nan:
            raise FloatingPointError("the decoder gave NaN: the weights or the device are at fault")
        return Image.fromarray(self.levels.cpu().numpy())


def tensor_to_pixels(values: torch.Tensor) -> Pixels:
    """Convert [1, 3, H, W] from -1 to 1 to pixels on the same device, clamping values outside."""
    levels = quantize(values)[0].permute(1, 2, 0).contiguous()
    return Pixels(levels, values.isnan().any())


def quantize(pixels: torch.Tensor) -> torch.Tensor:
    """Truncate -1 to 1 to uint8, like the original; rounding would differ by up to one level."""
    return (127.5 * (pixels.clamp(-1, 1) + 1)).to(torch.uint8)


def _grey16_to_rgb(image: Image.Image) -> Image.Image:
    levels = np.asarray(image).clip(0, 65535).astype(np.int32)
    return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")


def _float_to_rgb(image: Image.Image, field: str) -> Image.Image:
    values, found = np.asarray(image), FloatRange()
    found.add(values)
    try:
        levels = float_levels(values, found.white())
    except UnclearRangeError as error:
        raise InvalidRequestError(field, str(error), "an image with 8 bits per channel") from error
    return Image.fromarray(levels).convert("RGB")


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.getOpenProfile(BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            rgb = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except ImageCms.PyCMSError:
            rgb = None  # the profile is broken, or is not for CMYK
        if rgb is not None:
            return rgb
    return image.convert("RGB")
