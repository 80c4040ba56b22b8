"""Requests, their limits and their results, as frozen values. Does not import torch."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from operator import index
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from uso_core.errors import InvalidRequestError

if TYPE_CHECKING:
    import torch

OutputType = Literal["pil", "np", "pt"]
"""The type of the images of a call, as in diffusers: PIL, NumPy or PyTorch."""
MAX_SEED = 2**31 - 1
MAX_PROMPT_CHARACTERS = 100_000
"""The longest prompt, of which the text encoders use 512 tokens; they would read all of it."""

_SHOWN_SIZE = 512  # most pixels of a side in a notebook


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The ranges that a checkpoint accepts; the defaults are those of USO on FLUX.1-dev.

    Sizes are in pixels of the output. `default_size` is the side of the square output of a request
    without size and content image. Its square is the approximate area of an inferred size.
    `default_content_long_size` and `default_keep_size` are what a request that gives neither gets.
    """

    min_size: int = 512
    max_size: int = 1536
    size_step: int = 16
    default_size: int = 1024
    max_steps: int = 50
    min_guidance: float = 1.0
    max_guidance: float = 5.0
    max_content_long_size: int = 1024
    max_styles: int = 4
    max_style_weight: float = 2.0
    max_images: int = 8
    default_content_long_size: int = 512
    default_keep_size: bool = False

    @property
    def defaults(self) -> dict[str, Any]:
        """The fields of a request whose defaults depend on the checkpoint."""
        return {
            "content_long_size": self.default_content_long_size,
            "keep_size": self.default_keep_size,
        }


LATER_LIMITS = ("default_content_long_size", "default_keep_size")
"""Limits that version 0.1.0 did not have. Files and digests that leave them out mean FLUX's."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The numbers of a request: everything but its prompt and its images.

    Attributes:
        width: output width in pixels; None: inferred from the content image, else the default size.
        height: output height in pixels; None: inferred from the content image, else the default
            size.
        num_steps: number of Euler steps; diffusers calls it `num_inference_steps`.
        guidance: distilled guidance scale of FLUX.1-dev; diffusers calls it `guidance_scale`.
        seed: seed of the first image's noise; image j uses `seed + j`.
        keep_size: take the output size from the preprocessed content image, scaled by the default
            size (1024) / `content_long_size`; no effect without a content image.
        content_long_size: long side of the content image in pixels, to which it is resized before
            it is encoded; 0 leaves the content image out. Checkpoints have their own defaults of
            these two, `Limits.defaults`, which calls of a pipeline by prompt or keyword use.
        num_images: number of images to generate.
    """

    width: int | None = None
    height: int | None = None
    num_steps: int = 25
    guidance: float = 4.0
    seed: int = 0
    keep_size: bool = False
    content_long_size: int = 512
    num_images: int = 1

    @property
    def seeds(self) -> range:
        """The seed of each image, in order."""
        return range(self.seed, self.seed + self.num_images)

    def check(self, limits: Limits) -> None:
        """Raise `InvalidRequestError` for the first parameter outside `limits`."""
        for side in ("width", "height"):
            size = getattr(self, side)
            if size is not None:
                _check_whole(side, size, limits.min_size, limits.max_size)
                if size % limits.size_step:
                    raise InvalidRequestError(side, size, f"a multiple of {limits.size_step}")
        _check_whole("num_steps", self.num_steps, 1, limits.max_steps)
        _check_range("guidance", self.guidance, limits.min_guidance, limits.max_guidance)
        _check_whole("content_long_size", self.content_long_size, 0, limits.max_content_long_size)
        _check_whole("num_images", self.num_images, 1, limits.max_images)
        _check_whole("seed", self.seed, 0, MAX_SEED - self.num_images + 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedStyle:
    """A style that was encoded before; it takes the place of a style image.

    Attributes:
        tokens: `[tokens, width]`, as the checkpoint's style projector gives them, on the CPU.
        sha256: hash of the tokens in hex; equal styles have equal ones.
    """

    tokens: torch.Tensor
    sha256: str


@dataclass(frozen=True, kw_only=True)
class StylizeRequest(Parameters):
    """One request: a prompt, reference images and numbers. Images may have any PIL mode.

    Attributes:
        prompt: the prompt, truncated after 512 T5 tokens; an empty one keeps the layout of the
            content image.
        content_image: reference for subject, identity or layout.
        style_images: style references, in order; an image or any sequence of them, stored as a
            tuple. An encoded style can take the place of an image. None: no style.
        style_weights: factor of each style's tokens; 0 leaves zeros in their place, which differs
            from no style. A number is that of the only style. None: 1 for each style.
    """

    prompt: str = ""
    content_image: Image.Image | None = None
    style_images: Sequence[Image.Image | EncodedStyle] = ()
    style_weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        images = () if self.style_images is None else _tuple(self.style_images)
        object.__setattr__(self, "style_images", images)
        if self.style_weights is not None:
            object.__setattr__(self, "style_weights", _tuple(self.style_weights))

    @property
    def style_pictures(self) -> tuple[Image.Image, ...]:
        """The styles that are images; encoded ones are left out."""
        return tuple(each for each in self.style_images if not isinstance(each, EncodedStyle))

    def check(self, limits: Limits) -> None:
        """Raise `InvalidRequestError` for the first field outside `limits`."""
        super().check(limits)
        try:
            self.prompt.encode()
        except (AttributeError, UnicodeEncodeError) as error:
            raise InvalidRequestError(
                "prompt", self.prompt, "text that can be written as UTF-8, no lone surrogates"
            ) from error
        check_prompt(self.prompt)
        if self.content_image is not None:
            _check_image("content_image", self.content_image)
        for place, style in enumerate(self.style_images):
            if not isinstance(style, EncodedStyle):
                _check_image(f"style_images[{place}]", style)
        if len(self.style_images) > limits.max_styles:
            raise InvalidRequestError(
                "style_images", len(self.style_images), f"at most {limits.max_styles} styles"
            )
        if self.style_weights is not None:
            check_style_weights(self.style_weights, len(self.style_images), limits)


@dataclass(frozen=True, kw_only=True)
class StylizedImage:
    """One generated image.

    Attributes:
        image: the image, RGB.
        seed: seed of its noise.
        prompt_truncated: True if the prompt was longer than 512 T5 tokens and its end was dropped.
    """

    image: Image.Image
    seed: int
    prompt_truncated: bool

    def _repr_html_(self) -> str:
        """Return the image with its seed below, for a notebook."""
        shown = self.image.copy()
        shown.thumbnail((_SHOWN_SIZE, _SHOWN_SIZE))
        buffer = BytesIO()
        shown.save(buffer, "PNG")
        data = b64encode(buffer.getvalue()).decode("ascii")
        cut = ", prompt cut" if self.prompt_truncated else ""
        return (
            '<figure style="display:inline-block;margin:4px">'
            f'<img src="data:image/png;base64,{data}" alt="seed {self.seed}">'
            f"<figcaption>seed {self.seed}{cut}</figcaption></figure>"
        )


class StylizedImages(list[StylizedImage]):
    """The images of one call, in the order of the requests and of their seeds."""

    def __init__(
        self, results: Iterable[StylizedImage] = (), *, output_type: OutputType = "pil"
    ) -> None:
        super().__init__(results)
        self._output_type = output_type

    @property
    def images(self) -> Any:  # noqa: ANN401 (a list, an array or a tensor)
        """The images alone, as the results of diffusers have them.

        Returns:
            PIL images in a list; or, by the type of the output, float32 of `[N, H, W, 3]` or, as a
            tensor, `[N, 3, H, W]`, both 0 to 1.

        Raises:
            ValueError: an array is asked for, and the images have several sizes.
        """
        images = [result.image for result in self]
        if self._output_type == "pil":
            return images
        import numpy as np  # noqa: PLC0415 (only these types need it)

        array = np.stack([np.asarray(image, np.float32) / 255 for image in images])
        if self._output_type == "np":
            return array
        import torch  # noqa: PLC0415 (see above)

        return torch.from_numpy(array).permute(0, 3, 1, 2)

    def _repr_html_(self) -> str:
        """Return a row of all images, for a notebook."""
        return "".join(result._repr_html_() for result in self)


def check_prompt(prompt: str) -> None:
    """Raise `InvalidRequestError` if a prompt is longer than `MAX_PROMPT_CHARACTERS`."""
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise InvalidRequestError(
            "prompt",
            f"{prompt[:60]}…, {len(prompt):,} characters",
            f"at most {MAX_PROMPT_CHARACTERS:,} characters",
        )


def check_style_weights(weights: Sequence[float], num_styles: int, limits: Limits) -> None:
    """Raise `InvalidRequestError` unless each style has one weight, within `limits`."""
    if len(weights) != num_styles:
        raise InvalidRequestError(
            "style_weights", list(weights), f"one number for each style, {num_styles} in all"
        )
    for place, weight in enumerate(weights):
        _check_range(f"style_weights[{place}]", weight, 0.0, limits.max_style_weight)


def _tuple(values: object) -> tuple[Any, ...]:
    """Return several values as a tuple; one value is a tuple of its own, and a text is one value.

    `check` names a value of a wrong type.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        return (values,)
    return tuple(values)


def _check_image(field: str, image: object) -> None:
    if not isinstance(image, Image.Image):
        raise InvalidRequestError(field, type(image), "a PIL image, as Image.open(path) gives")


def _check_whole(field: str, value: int, low: int, high: int) -> None:
    try:
        index(value)
    except TypeError as error:
        raise InvalidRequestError(field, value, "a whole number") from error
    _check_range(field, value, low, high)


def _check_range(field: str, value: float, low: float, high: float) -> None:
    try:
        accepted = low <= value <= high  # also False for NaN
    except TypeError as error:
        raise InvalidRequestError(field, value, "a number") from error
    if not accepted:
        raise InvalidRequestError(field, value, f"{low} to {high}")
