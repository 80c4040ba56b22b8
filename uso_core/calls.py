"""The arguments of a call of a pipeline: requests, prompts, or the fields of one request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, TypeAlias, get_args

from uso_core.errors import InvalidRequestError
from uso_core.request import MAX_SEED, OutputType, StylizeRequest

Request: TypeAlias = StylizeRequest | Mapping[str, Any] | str
"""A request, its fields by name, or the prompt of one without images."""

StepCallback: TypeAlias = Callable[[Any, int, Any, dict[str, Any]], "Mapping[str, Any] | None"]
"""A `callback_on_step_end` of diffusers: pipeline, step, timestep and tensors in, tensors out."""

_NAMES_OF_DIFFUSERS = {
    "num_inference_steps": "num_steps",
    "guidance_scale": "guidance",
    "num_images_per_prompt": "num_images",
    "image": "content_image",
}
_NO_NEGATIVE = "FLUX.1-dev takes no negative prompt; `guidance` sets the strength of the prompt"
_NO_EMBEDS = "a pipeline encodes prompts and images itself; give `prompt`, and images as PIL images"
_NOT_OURS = {
    "prompt_2": "both text encoders get `prompt`",
    "negative_prompt": _NO_NEGATIVE,
    "negative_prompt_2": _NO_NEGATIVE,
    "true_cfg_scale": _NO_NEGATIVE,
    "prompt_embeds": _NO_EMBEDS,
    "pooled_prompt_embeds": _NO_EMBEDS,
    "negative_prompt_embeds": _NO_EMBEDS,
    "negative_pooled_prompt_embeds": _NO_EMBEDS,
    "ip_adapter_image": "give `style_images`",
    "ip_adapter_image_embeds": _NO_EMBEDS,
    "negative_ip_adapter_image": _NO_NEGATIVE,
    "negative_ip_adapter_image_embeds": _NO_NEGATIVE,
    "strength": "USO keeps the layout of `content_image` by itself; an empty prompt keeps it best",
    "latents": "give `seed`, or change latents in `callback_on_step_end`",
    "sigmas": "`num_steps` sets them",
    "timesteps": "`num_steps` sets them",
    "joint_attention_kwargs": "LoRAs are chosen at loading; see docs/weights.md",
    "max_sequence_length": "prompts always have 512 T5 tokens",
}
"""Arguments of diffusers' pipelines that have no counterpart, and what to do instead."""
_FIELDS = [field.name for field in fields(StylizeRequest)]
_NEVER_NONE = {"prompt", "num_steps", "guidance", "seed", "num_images", "content_long_size"}
"""Fields that have a default, so that None can only mean "not given", as in diffusers."""
_ONE = "a StylizeRequest, a prompt, or a mapping of fields"
_ACCEPTED = f"{_ONE}, or a list of them"


def requests_of(
    given: Request | Iterable[Request] | None,
    given_fields: Mapping[str, Any],
    usual: Mapping[str, Any] | None = None,
) -> list[StylizeRequest]:
    """Return the requests that a call describes.

    Args:
        given: requests and prompts; None: one request of the fields alone.
        given_fields: fields that replace those of every request, by their names here or in
            diffusers.
        usual: fields of requests that do not give them, unless they are `StylizeRequest`s already.

    Raises:
        InvalidRequestError: something in `given` is neither a request nor a prompt.
        TypeError: a field has another name, or is given twice.
    """
    named, usual = _named(given_fields), usual or {}
    if given is None and isinstance(named.get("prompt"), list | tuple):
        given = _requests_in(named)
        named = {}
    if given is None:
        if not named:
            raise TypeError(f"no request: give {_ACCEPTED}")
        return [StylizeRequest(**{**usual, **named})]
    if isinstance(given, StylizeRequest | Mapping | str):
        given = [given]
    try:
        requests = list(given)
    except TypeError as error:
        raise InvalidRequestError("requests", given, _ACCEPTED) from error
    if "prompt" in named and any(isinstance(request, str) for request in requests):
        raise TypeError("the prompt is given twice: as the first argument and as `prompt`")
    return [_request(request, place, named, usual) for place, request in enumerate(requests)]


def with_seeds(
    requests: list[StylizeRequest], generator: object, fields: Mapping[str, Any]
) -> list[StylizeRequest]:
    """Return the requests with seeds that are drawn from a generator, one for each.

    Args:
        requests: the requests.
        generator: a `torch.Generator`, or a list of one for each request; None: the requests keep
            their seeds.
        fields: the fields of the call, among which there must be no seed beside a generator.

    Raises:
        TypeError: there are a generator and a seed, the generator is something else, or there is
            not one for each request.
    """
    if generator is None:
        return requests
    if fields.get("seed") is not None:
        raise TypeError("the seed is given twice: as `seed` and by `generator`")
    import torch  # noqa: PLC0415 (it loads for seconds, and the caller has it)

    several = isinstance(generator, list | tuple)
    generators: list[Any] = [*generator] if several else [generator] * len(requests)  # type: ignore[misc]
    if len(generators) != len(requests):
        raise TypeError(f"{len(generators)} generators for {len(requests)} requests: give as many")
    for each in generators:
        if not isinstance(each, torch.Generator):
            kind = type(each).__name__
            raise TypeError(f"generator: {kind} is not accepted; give a torch.Generator, or `seed`")
    seeds = [
        int(torch.randint(MAX_SEED // 2, (), generator=each, device=each.device))
        for each in generators
    ]
    return [replace(request, seed=seed) for request, seed in zip(requests, seeds, strict=True)]


def check_output(output_type: str, callback_keys: Sequence[str]) -> None:
    """Raise ValueError for an unknown type of output, or an unknown key of a callback's mapping."""
    if output_type not in get_args(OutputType):
        accepted = ", ".join(get_args(OutputType))
        raise ValueError(f"output_type {output_type!r} is not accepted; give {accepted}")
    unknown = [key for key in callback_keys if key != "latents"]
    if unknown:
        raise ValueError(
            f"callback_on_step_end_tensor_inputs: {unknown[0]!r} is not accepted; give latents"
        )


def _requests_in(named: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of a request for each prompt in a list, as diffusers takes them.

    A list of as many content images gives one to each prompt.

    Raises:
        TypeError: the numbers differ.
    """
    prompts, images = named["prompt"], named.get("content_image")
    if not isinstance(images, list | tuple):
        images = [images] * len(prompts)
    if len(images) != len(prompts):
        raise TypeError(
            f"{len(prompts)} prompts and {len(images)} content images: give one image, or one for "
            "each prompt"
        )
    pairs = zip(prompts, images, strict=True)
    return [{**named, "prompt": prompt, "content_image": image} for prompt, image in pairs]


def _request(
    given: Request, place: int, named: Mapping[str, Any], usual: Mapping[str, Any]
) -> StylizeRequest:
    if isinstance(given, str):
        return StylizeRequest(**{**usual, "prompt": given, **named})
    if isinstance(given, Mapping):
        return StylizeRequest(**{**usual, **_named(given), **named})
    if isinstance(given, StylizeRequest):
        return replace(given, **named) if named else given
    raise InvalidRequestError(f"requests[{place}]", given, _ONE)


def _named(given: Mapping[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, value in given.items():
        ours = _NAMES_OF_DIFFUSERS.get(name, name)
        if value is None and (ours in _NOT_OURS or ours in _NEVER_NONE):
            continue  # what diffusers takes for not given
        if ours in _NOT_OURS:
            raise TypeError(f"`{name}` of diffusers is not taken: {_NOT_OURS[ours]}")
        if ours not in _FIELDS:
            close = get_close_matches(name, _FIELDS, 1)
            hint = f"did you mean `{close[0]}`?" if close else f"give one of {', '.join(_FIELDS)}"
            raise TypeError(f"a request has no field `{name}`; {hint}")
        if ours in named:
            theirs = next(key for key, own in _NAMES_OF_DIFFUSERS.items() if own == ours)
            raise TypeError(f"`{ours}` is given twice: diffusers calls it `{theirs}`")
        named[ours] = value
    return named
