"""A task: one accepted request, from its commit to its end."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

Lane = Literal["interactive", "batch"]

_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_LETTER_OF_BYTE = bytes(_LETTERS[byte % len(_LETTERS)] for byte in range(256))
_SPARE_BYTES = bytes(range(256 - 256 % len(_LETTERS), 256))
"""With them, some letters would come more often."""
_ID_LENGTH = 28


class State(IntEnum):
    """The state of a task; the numbers are those of inference.sh's clients."""

    RECEIVED = 1
    QUEUED = 2
    DISPATCHED = 3
    PREPARING = 4
    SERVING = 5
    SETTING_UP = 6
    RUNNING = 7
    CANCELLING = 8
    UPLOADING = 9
    COMPLETED = 10
    FAILED = 11
    CANCELLED = 12

    @property
    def ended(self) -> bool:
        """True if the task changes no more."""
        return self >= State.COMPLETED

    @property
    def waits(self) -> bool:
        """True if no actor has the task yet."""
        return self <= State.QUEUED


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An image that a request names: a URL, or a file of this server.

    Attributes:
        uri: an http(s) URL; None for a file.
        file_id: id of an uploaded file; None for a URL.
        field: name of the field of the request, for messages; empty in tasks of older versions.
    """

    uri: str | None = None
    file_id: str | None = None
    field: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the form in which the database holds it."""
        place = {"uri": self.uri} if self.uri is not None else {"file_id": self.file_id or ""}
        return {**place, "field": self.field}

    @classmethod
    def from_json(cls, value: Mapping[str, str]) -> Reference:
        """Return the reference that `as_json` has described."""
        place = {name: value.get(name) for name in ("uri", "file_id")}
        return cls(**place, field=value.get("field", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Everything that decides about the images of a task; fixed when the task is accepted.

    Attributes:
        prompt: the prompt.
        content: the content image; None if there is none.
        styles: the style images, in order.
        parameters: the fields of `uso_core.request.Parameters` by name, with the final seed.
        style_weights: a weight for each style; None: 1 for each.
    """

    prompt: str = ""
    content: Reference | None = None
    styles: Sequence[Reference] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    style_weights: Sequence[float] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the form in which the database holds it."""
        return {
            "prompt": self.prompt,
            "content": None if self.content is None else self.content.as_json(),
            "styles": [style.as_json() for style in self.styles],
            "parameters": dict(self.parameters),
            "style_weights": None if self.style_weights is None else list(self.style_weights),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Drawing:
        """Return the drawing that `as_json` has described."""
        content = value["content"]
        return cls(
            prompt=value["prompt"],
            content=None if content is None else Reference.from_json(content),
            styles=tuple(map(Reference.from_json, value["styles"])),
            parameters=value["parameters"],
            style_weights=value["style_weights"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A request that is valid and not yet accepted.

    Attributes:
        key_id: id of the key that asks.
        dialect: name of the API that it came by; it forms the webhook.
        drawing: the image to generate.
        given: the input as the client gave it, for answers; without inline images.
        extras: values that the dialect needs again, e.g. a session.
        webhook: URL that is told about the end; None: nobody is.
        lane: `interactive` tasks go before `batch` ones.
    """

    key_id: str
    dialect: str
    drawing: Drawing
    given: Mapping[str, Any] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)
    webhook: str | None = None
    lane: Lane = "interactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One image of a completed task.

    Attributes:
        file_id: id of the file.
        filename: its name for people, with an extension.
        content_type: its media type.
        size: its number of bytes.
        nsfw: the verdict of the safety checker; None: not checked.
    """

    file_id: str
    filename: str
    content_type: str
    size: int
    nsfw: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An accepted request. Times are milliseconds since the epoch.

    Attributes:
        sequence: its place in the order of acceptance.
        attempts: times that it was given to an actor.
        progress: 0 to 100.
        error_code: failure code, as in records; empty: it has not failed.
        error: the reason of a failure, for people.
        outputs: images, once it is completed; blurred ones if the safety check withheld them.
        inference_ms: time on the device; 0 before the end.
    """

    id: str
    sequence: int
    key_id: str
    dialect: str
    lane: Lane
    state: State
    drawing: Drawing
    given: Mapping[str, Any]
    extras: Mapping[str, Any]
    webhook: str | None
    created_at: int
    updated_at: int
    started_at: int | None
    ended_at: int | None
    attempts: int
    progress: int
    error_code: str
    error: str
    outputs: Sequence[Output]
    inference_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The end of a task, for counts. Times are milliseconds since the epoch.

    Attributes:
        started_at: None: no actor has had the task.
        inference_ms: time on the device.
    """

    state: State
    created_at: int
    started_at: int | None
    inference_ms: int


def new_id() -> str:
    """Return an unguessable id of letters alone.

    Some clients look for `429` in the text of an error, which may hold the id.
    """
    letters = b""
    while len(letters) < _ID_LENGTH:
        letters += secrets.token_bytes(2 * _ID_LENGTH).translate(_LETTER_OF_BYTE, _SPARE_BYTES)
    return letters[:_ID_LENGTH].decode("ascii")
