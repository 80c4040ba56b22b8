"""The shape of a row: everything that determines its time and is known before its images are."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.rows import ManifestRow
from uso_core.protocol import Arithmetic
from uso_core.request import Limits


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """The size of a row's work.

    A content image counts as a square, which is an upper bound. An output size that follows from
    the content image counts as the square of the same area, which is close.

    Attributes:
        width: width of the output, in pixels.
        height: height of the output, in pixels.
        content: long side of the encoded content image, in pixels; 0 without a content image.
        styles: number of styles.
        steps: number of Euler steps.
        images: number of images.
    """

    width: int
    height: int
    content: int
    styles: int
    steps: int
    images: int

    @classmethod
    def of(cls, row: ManifestRow, limits: Limits) -> Shape:
        """Return the shape of a valid row."""
        numbers = row.parameters
        content = numbers.content_long_size if row.content_image is not None else 0
        if content and numbers.keep_size:
            width = height = limits.default_size
        elif content:
            width = numbers.width or numbers.height or limits.default_size
            height = numbers.height or width
        else:
            width = numbers.width or limits.default_size
            height = numbers.height or limits.default_size
        return cls(width, height, content, row.num_styles, numbers.num_steps, numbers.num_images)

    def tokens(self, model: Arithmetic) -> int:
        """Return the length of the transformer's sequence."""
        return model.sequence_length(self.width, self.height, self.content, self.styles)

    def flops(self, model: Arithmetic) -> float:
        """Return the floating-point operations for denoising all images of the row."""
        return model.step_flops(self.tokens(model)) * self.steps * self.images
