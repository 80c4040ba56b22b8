"""The arguments of a call of a pipeline: requests, prompts, or the fields of one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, TypeAlias

from uso_core.errors import InvalidRequestError
from uso_core.request import StylizeRequest

Request: TypeAlias = StylizeRequest | Mapping[str, Any] | str
"""A request, its fields by name, or the prompt of one without images."""

_NAMES_OF_DIFFUSERS = {
    "num_inference_steps": "num_steps",
    "guidance_scale": "guidance",
    "num_images_per_prompt": "num_images",
}
_FIELDS = [field.name for field in fields(StylizeRequest)]
_ONE = "a StylizeRequest, a prompt, or a mapping of fields"
_ACCEPTED = f"{_ONE}, or a list of them"


def requests_of(
    given: Request | Iterable[Request] | None, given_fields: Mapping[str, Any]
) -> list[StylizeRequest]:
    """Return the requests that a call describes.

    Args:
        given: requests and prompts; None: one request of the fields alone.
        given_fields: fields that replace those of every request, by their names here or in
            diffusers.

    Raises:
        InvalidRequestError: something in `given` is neither a request nor a prompt.
        TypeError: a field has another name, or is given twice.
    """
    named = _named(given_fields)
    if given is None:
        if not named:
            raise TypeError(f"no request: give {_ACCEPTED}")
        return [StylizeRequest(**named)]
    if isinstance(given, StylizeRequest | Mapping | str):
        given = [given]
    try:
        requests = list(given)
    except TypeError as error:
        raise InvalidRequestError("requests", given, _ACCEPTED) from error
    if "prompt" in named and any(isinstance(request, str) for request in requests):
        raise TypeError("the prompt is given twice: as the first argument and as `prompt`")
    return [_request(request, place, named) for place, request in enumerate(requests)]


def _request(given: Request, place: int, named: Mapping[str, Any]) -> StylizeRequest:
    if isinstance(given, str):
        return StylizeRequest(prompt=given, **named)
    if isinstance(given, Mapping):
        return StylizeRequest(**{**_named(given), **named})
    if isinstance(given, StylizeRequest):
        return replace(given, **named) if named else given
    raise InvalidRequestError(f"requests[{place}]", given, _ONE)


def _named(given: Mapping[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, value in given.items():
        ours = _NAMES_OF_DIFFUSERS.get(name, name)
        if ours not in _FIELDS:
            close = get_close_matches(name, _FIELDS, 1)
            hint = f"did you mean `{close[0]}`?" if close else f"give one of {', '.join(_FIELDS)}"
            raise TypeError(f"a request has no field `{name}`; {hint}")
        if ours in named:
            theirs = next(key for key, own in _NAMES_OF_DIFFUSERS.items() if own == ours)
            raise TypeError(f"`{ours}` is given twice: diffusers calls it `{theirs}`")
        named[ours] = value
    return named
