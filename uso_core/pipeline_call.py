"""The call of a pipeline, with the names and habits of diffusers' pipelines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from PIL import Image
from tqdm.auto import tqdm

from uso_core.calls import Request, StepCallback, check_output, requests_of, with_seeds
from uso_core.diffusers_habits import DiffusersHabits
from uso_core.interactive import is_watched
from uso_core.model.components import Components
from uso_core.model.conditioning import Conditioning
from uso_core.model.denoise import Latents, OnStep, StepEnd, denoise
from uso_core.model.inputs import PreparedRequest
from uso_core.request import OutputType, StylizedImage, StylizedImages, StylizeRequest


class PipelineCall(DiffusersHabits, ABC):
    """Generates the images of requests from the stages of a pipeline.

    Attributes:
        components: the loaded models.
        interrupt: set to True by a callback, it ends the image at this step.
    """

    components: Components

    def __init__(self) -> None:
        self.interrupt = False
        self._bar_options: dict[str, Any] = {}

    @abstractmethod
    def prepare(self, request: StylizeRequest) -> PreparedRequest:
        """Check a request and prepare its images."""

    @abstractmethod
    def condition(self, request: StylizeRequest | PreparedRequest) -> Conditioning:
        """Compute everything that is the same at every step."""

    @abstractmethod
    def denoise(
        self, conditioning: Conditioning, seed: int, on_step: OnStep | None = None
    ) -> Latents:
        """Denoise one image."""

    @abstractmethod
    def decode(self, latents: Latents) -> Image.Image:
        """Decode latents to an RGB image."""

    def __call__(  # noqa: PLR0913 (diffusers' names, so that its users find them)
        self,
        requests: Request | Iterable[Request] | None = None,
        *,
        on_step: OnStep | None = None,
        progress: bool | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        callback_on_step_end: StepCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        output_type: OutputType = "pil",
        return_dict: bool = True,
        **fields: Any,  # noqa: ANN401 (the fields of a request, which it checks)
    ) -> Any:  # noqa: ANN401 (StylizedImages, or a tuple as diffusers returns)
        """Generate `num_images` images of each request, in order.

        Args:
            requests: a request, a prompt, or several of them; all are checked before the first
                image is generated. None: one request of `fields`.
            on_step: called after each step with the steps done and the steps of all requests.
            progress: show a bar on stderr. None: in a terminal or a notebook, without `on_step`.
            generator: a seed for each request is drawn from it, or from its own of a list; the
                results name the seeds.
            callback_on_step_end: called after each step with the pipeline, the number of the step
                within its image, the timestep and a mapping with `latents`, the packed latents
                `[1, H/16 * W/16, 64]`; those in the mapping that it returns are used. To end early,
                it sets `interrupt` of the pipeline to True.
            callback_on_step_end_tensor_inputs: the keys of that mapping; there is `latents` alone.
            output_type: the type of `images` of the result: `pil`; `np`, float32 `[N, H, W, 3]`,
                or `pt`, `[N, 3, H, W]`, both 0 to 1.
            return_dict: False returns the tuple `(images,)`.
            fields: fields of `StylizeRequest` that replace those of every request. The names
                `num_inference_steps`, `guidance_scale`, `num_images_per_prompt` and `image` of
                diffusers are taken too, and a list as `prompt` makes a request of each.

        Returns:
            The `StylizedImages`.

        Raises:
            InvalidRequestError: a request is outside `limits`.
            TypeError: a field is unknown or given twice, or there is no request.
            ValueError: an output type or a key of the callback does not exist.
        """
        check_output(output_type, callback_on_step_end_tensor_inputs)
        asked = requests_of(requests, fields, self.components.limits.defaults)
        given = with_seeds(asked, generator, fields)
        prepared = [(each, self.prepare(each)) for each in given]
        total = sum(ready.num_steps * request.num_images for request, ready in prepared)
        shown = is_watched() and on_step is None if progress is None else progress
        bar_options = {"unit": "step", "disable": not shown, **self._bar_options}
        on_step_end = self._step_end(callback_on_step_end, callback_on_step_end_tensor_inputs)
        images = StylizedImages(output_type=output_type)
        self.interrupt = False
        with tqdm(total=total, **bar_options) as bar:
            counted = partial(_counted, on_step, bar, total)
            images.extend(self._generated(prepared, counted, on_step_end))
        return images if return_dict else (images.images,)

    def set_progress_bar_config(self, **options: Any) -> None:  # noqa: ANN401 (tqdm's options)
        """Set options of the bar, for example `disable=True`; those of tqdm."""
        self._bar_options = options

    def _generated(
        self,
        prepared: Sequence[tuple[StylizeRequest, PreparedRequest]],
        counted: Callable[[int], OnStep],
        on_step_end: StepEnd | None,
    ) -> Iterator[StylizedImage]:
        """Yield the images of all requests; `counted` takes the number of steps before an image."""
        done = 0
        for request, ready in prepared:
            conditioning = self.condition(ready)
            for seed in request.seeds:
                latents = self._latents(conditioning, seed, counted(done), on_step_end)
                yield StylizedImage(
                    image=self.decode(latents),
                    seed=seed,
                    prompt_truncated=conditioning.prompt_truncated,
                )
                done += ready.num_steps

    def _latents(
        self, conditioning: Conditioning, seed: int, on_step: OnStep, on_step_end: StepEnd | None
    ) -> Latents:
        if on_step_end is None:
            return self.denoise(conditioning, seed, on_step)
        with torch.no_grad():
            return denoise(self.components, [conditioning], [seed], on_step, on_step_end)[0]

    def _step_end(self, callback: StepCallback | None, keys: Sequence[str]) -> StepEnd | None:
        """Return a callback of diffusers' form as one of `denoise`."""
        if callback is None:
            return None

        def step_end(step: int, timestep: torch.Tensor, latents: torch.Tensor) -> Any:  # noqa: ANN401
            given = {"latents": latents} if "latents" in keys else {}
            returned = callback(self, step, timestep, given)
            return None if self.interrupt else (returned or given).get("latents", latents)

        return step_end


def _counted(on_step: OnStep | None, bar: tqdm, total: int, done: int) -> OnStep:
    """Return `on_step` for one of several images, with `done` steps before it of `total`."""

    def counted(step: int, _: int) -> None:
        bar.update(done + step - bar.n)
        if on_step is not None:
            on_step(done + step, total)

    return counted
