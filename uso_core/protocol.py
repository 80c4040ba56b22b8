"""The interfaces that a model implements: the verbs of its pipeline and the facts of its family.

Workers, planning, dispatch and packing use a model through these types alone. A second model is a
module with a `ModelFamily` and an entry in `uso_core.families`. Importing this costs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, runtime_checkable

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from uso_core.loading.component_files import ComponentFiles, ComponentName, FileListing
    from uso_core.loading.dimensions import EncodingCosts
    from uso_core.loading.source import ModelCard, ModelSource
    from uso_core.model.cache import Lookups
    from uso_core.model.denoise import OnStep
    from uso_core.model.images import Pixels
    from uso_core.model.sizes import Size
    from uso_core.presets import Attention, Preset
    from uso_core.request import EncodedStyle, Limits, StylizedImage, StylizeRequest


class BatchKey(Protocol):
    """Everything that requests must share to be denoised as one batch; hashable."""

    @property
    def size(self) -> Size:
        """Size of the output in pixels."""

    @property
    def styles(self) -> int:
        """Number of style images."""

    def __hash__(self) -> int: ...

    def __eq__(self, other: object, /) -> bool: ...


class Prepared(Protocol):
    """A valid request, its images ready to be encoded."""

    @property
    def batch_key(self) -> BatchKey:
        """The key of the batches that this request can join."""


class Conditioned(Protocol):
    """Everything about a request that stays the same at every step of its images."""

    @property
    def prompt_truncated(self) -> bool:
        """True if the prompt was longer than the text encoder accepts."""


PreparedT = TypeVar("PreparedT", bound=Prepared)
ConditionedT = TypeVar("ConditionedT", bound=Conditioned)
LatentsT = TypeVar("LatentsT")


class Pipeline(Protocol[PreparedT, ConditionedT, LatentsT]):
    """A loaded model. An image depends on its request alone, not on earlier requests.

    One thread at a time may call `condition` and `denoise_batch`. Any thread may call `prepare`
    meanwhile, and one thread `decode_pixels` if `can_decode_beside` is true. Where the device has
    too little memory, the verbs raise `torch.OutOfMemoryError` and the pipeline stays usable.
    """

    def prepare(self, request: StylizeRequest) -> PreparedT:
        """Check a request and prepare its images, on the CPU alone.

        Raises:
            InvalidRequestError: the request is outside `limits`.
        """

    def condition(self, request: PreparedT) -> ConditionedT:
        """Encode the prompt and the images of a request, on the device's current stream."""

    def denoise_batch(
        self,
        conditionings: Sequence[ConditionedT],
        seeds: Sequence[int],
        on_step: OnStep | None = None,
    ) -> list[LatentsT]:
        """Denoise one image per conditioning and seed; the requests share their batch key.

        Args:
            conditionings: one for each image.
            seeds: one for each image.
            on_step: called after each step with the steps done and the steps in all. An error that
                it raises ends the batch, and the pipeline stays usable.
        """

    def decode_pixels(self, latents: LatentsT) -> Pixels:
        """Decode latents on the device's current stream, without waiting for the device."""

    def compile(self) -> None:
        """Compile the model; the first image of the process then takes longer."""

    def __call__(
        self, requests: Sequence[StylizeRequest], *, on_step: OnStep | None = None
    ) -> list[StylizedImage]:
        """Generate the images of requests, one after the other.

        Args:
            requests: checked before the first image is generated.
            on_step: called after each step with the steps done and the steps in all.

        Raises:
            InvalidRequestError: a request is outside `limits`.
        """

    @property
    def limits(self) -> Limits:
        """The ranges that the checkpoint accepts."""

    @property
    def device(self) -> torch.device:
        """The device that generates."""

    @property
    def cache_lookups(self) -> dict[str, Lookups]:
        """Lookups of encoded inputs so far, by kind."""

    @property
    def can_batch(self) -> bool:
        """True if images may be denoised together without deciding about each other's steps."""

    @property
    def can_decode_beside(self) -> bool:
        """True if one thread may decode while another conditions and denoises."""


@runtime_checkable
class EncodesStyles(Protocol):
    """A pipeline that can keep a style: encode it once, and take it in place of an image."""

    def encode_styles(
        self, images: Sequence[Image.Image], weights: Sequence[float] | None = None
    ) -> EncodedStyle:
        """Encode images as one style; see `uso_core.pipeline.USOPipeline.encode_styles`."""


AnyPipeline: TypeAlias = Pipeline[Any, Any, Any]
"""A pipeline of any family; its own values pass through unseen."""


class Arithmetic(Protocol):
    """The size of a model, and the arithmetic that it takes."""

    @property
    def family(self) -> str:
        """Name of the model's family."""

    @property
    def hidden(self) -> int:
        """Width of the transformer's tokens."""

    @property
    def blocks(self) -> int:
        """Number of the transformer's blocks."""

    @property
    def encoding(self) -> EncodingCosts:
        """Cost of encoding each kind of input."""

    def sequence_length(self, width: int, height: int, content: int, styles: int) -> int:
        """Return the length of the transformer's sequence, in tokens.

        Args:
            width: width of the output in pixels.
            height: height of the output in pixels.
            content: side of a square content image as it is encoded, in pixels; 0 without one.
            styles: number of style images.
        """

    def linear_flops(self, tokens: int) -> float:
        """Return the floating-point operations of one step's linear layers."""

    def attention_flops(self, tokens: int) -> float:
        """Return the floating-point operations of one step's attention."""

    def step_flops(self, tokens: int) -> float:
        """Return the floating-point operations of one step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The facts of a model family that a dataset card states.

    Attributes:
        title: name of the method.
        url: page or paper about it.
        licence: licences of the weights, as a phrase without a full stop.
    """

    title: str
    url: str
    licence: str


class ModelFamily(Protocol):
    """Everything that differs between models: finding, describing and loading a checkpoint.

    Only `memory_needed` and `load` may import torch: a run's driver calls all the others.
    """

    @property
    def name(self) -> str:
        """Short name, unique among the families."""

    @property
    def about(self) -> About:
        """Facts for dataset cards."""

    @property
    def usual_limits(self) -> Limits:
        """Limits to assume for a checkpoint that cannot be described yet."""

    @property
    def usual_dimensions(self) -> Arithmetic:
        """Dimensions to assume for a checkpoint that cannot be described yet."""

    def owns_name(self, name: str) -> bool:
        """Return True for a `base` without files, such as `tiny:3`, and for names in records.

        Args:
            name: `ModelSource.base`, or a `ModelCard.name`.
        """

    def recognizes(self, base: FileListing) -> bool:
        """Return True if the files at `ModelSource.base` are a checkpoint of this family."""

    def files(self, weights: str, listing: FileListing) -> Mapping[ComponentName, ComponentFiles]:
        """Return the files that the model needs of one of its sources.

        Args:
            weights: one of `ModelSource.WEIGHTS`.
            listing: all files of that source.

        Raises:
            CheckpointError: a file is missing.
        """

    def describe(self, source: ModelSource) -> ModelCard:
        """Describe a checkpoint from its small files and its files' headers.

        Raises:
            CheckpointError: a file is missing or cannot be read.
        """

    def pin(self, source: ModelSource) -> ModelSource:
        """Return the source with the commit of every Hub id.

        Raises:
            CheckpointError: a Hub id cannot be resolved.
        """

    def dimensions(self, source: ModelSource) -> Arithmetic:
        """Return the dimensions of a checkpoint; the usual ones if its files are not on disk.

        Raises:
            CheckpointError: a file is missing or cannot be read.
        """

    def memory_needed(self, source: ModelSource, dtype: torch.dtype, preset: Preset) -> int:
        """Return the bytes that a GPU must have free to load the model and generate 1024x1024.

        Raises:
            CheckpointError: a file is missing or cannot be read.
        """

    def load(
        self,
        source: ModelSource,
        *,
        dtype: torch.dtype,
        device: torch.device,
        preset: Preset,
        attention: Attention,
    ) -> AnyPipeline:
        """Load a checkpoint.

        Args:
            source: local paths and Hub ids.
            dtype: dtype of the transformer.
            device: to generate on.
            preset: a speed or memory trade-off.
            attention: kernel of the transformer's attention.

        Raises:
            CheckpointError: a file is missing or does not match the model.
            UnsupportedPresetError: the model or the device cannot run the preset.
        """
