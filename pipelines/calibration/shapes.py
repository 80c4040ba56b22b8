"""What decides about the time that a row takes, as far as it is known before its images are."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.rows import ManifestRow
from uso_core.protocol import Arithmetic
from uso_core.request import Limits


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """The size of a row's work.

    A size that follows from the content image is taken as the square of the same area, and a
    content image as a square: the first is close, the second an upper bound.

    Attributes:
        width: of the output, in pixels.
        height: likewise.
        content: long side, in pixels, of the content image as it is encoded; 0: there is none.
        styles: how many.
        steps: Euler steps.
        images: drawn from the row.
    """

    width: int
    height: int
    content: int
    styles: int
    steps: int
    images: int

    @classmethod
    def of(cls, row: ManifestRow, limits: Limits) -> Shape:
        """The shape of a valid row."""
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
        return cls(
            width, height, content, len(row.style_images), numbers.num_steps, numbers.num_images
        )

    def tokens(self, model: Arithmetic) -> int:
        """The length of the transformer's sequence."""
        return model.sequence_length(self.width, self.height, self.content, self.styles)

    def flops(self, model: Arithmetic) -> float:
        """Floating-point operations of the denoising of all its images."""
        return model.step_flops(self.tokens(model)) * self.steps * self.images
