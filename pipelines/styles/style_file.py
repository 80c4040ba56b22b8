"""The file of a style: its tokens and the facts about them, as safetensors.

The metadata of the file has one key with JSON: safetensors writes several keys in a random order,
and the same style should give the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

if TYPE_CHECKING:
    from uso_core.request import EncodedStyle

SUFFIX = ".safetensors"
FIRST_BYTES = 128 * 1024
"""Bytes that hold the facts of a usual style; a longer header takes a second request."""
_KEY = "uso-batch.style"
_VERSION = 1
_TENSOR = "tokens"
_LENGTH_BYTES = 8
_MOST_HEADER = 16 * 2**20
_ANEW = "remove it, or add it anew"


def _checked_base64(text: str) -> str:
    try:
        base64.b64decode(text)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    return text


_Hash = Annotated[str, Field(pattern="^[0-9a-f]+$")]


@dataclass(frozen=True, slots=True)
class StyleImage:
    """One of the images of a style.

    Attributes:
        name: name of its file, without folders.
        sha256: hash of its file in hex.
        weight: its share, above 0; only the ratios of the shares count.
        thumbnail: a small JPEG, as base64.
        licence: its licence, as stated; None: unknown.
        wish: the mark with which its owner asked not to use it for AI; None: no mark.
    """

    name: str
    sha256: _Hash
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    thumbnail: Annotated[str, AfterValidator(_checked_base64)]
    licence: str | None = None
    wish: str | None = None

    @property
    def jpeg(self) -> bytes:
        """The thumbnail as the bytes of a JPEG file."""
        return base64.b64decode(self.thumbnail)


@dataclass(frozen=True, slots=True)
class StyleFacts:
    """The facts about a style. Its name is that of its file.

    Attributes:
        sha256: hash of the tokens, in hex; see `uso_core.model.style_tokens.tokens_sha256`.
        model: name of the model that encoded it.
        model_fingerprint: fingerprint of that model, `ModelCard.fingerprint`.
        preset: the preset with which it was encoded.
        dtype: type of the tokens, such as `bfloat16`.
        licence: licence of the images; None: unknown.
        images: the images, in order.
        created_at: time at which it was encoded, in UTC.
    """

    sha256: _Hash
    model: str
    model_fingerprint: str
    preset: str
    dtype: str
    licence: str | None
    images: tuple[StyleImage, ...]
    created_at: str


_FACTS = TypeAdapter(StyleFacts)


class StyleFileError(ValueError):
    """The bytes are not the file of a style; says why, and what to do."""


def style_file(style: EncodedStyle, facts: StyleFacts) -> bytes:
    """Return the file of a style."""
    from safetensors.torch import save  # noqa: PLC0415 (it imports torch)

    text = json.dumps({"version": _VERSION, **asdict(facts)}, ensure_ascii=False)
    return bytes(save({_TENSOR: style.tokens}, metadata={_KEY: text}))


def header_end(first: bytes) -> int:
    """Return the number of bytes of a file up to its tokens.

    Args:
        first: at least the first 8 bytes of the file.

    Raises:
        StyleFileError: it is not a safetensors file.
    """
    length = int.from_bytes(first[:_LENGTH_BYTES], "little")
    if len(first) < _LENGTH_BYTES or not 0 < length <= _MOST_HEADER:
        raise StyleFileError(f"it is not a safetensors file; {_ANEW}")
    return _LENGTH_BYTES + length


def facts_in(data: bytes) -> StyleFacts:
    """Return the facts in a file.

    Args:
        data: the file, at least up to `header_end`.

    Raises:
        StyleFileError: it is damaged, holds no style, or one of a newer version.
    """
    try:
        header = json.loads(data[_LENGTH_BYTES : header_end(data)])
        found = json.loads(header["__metadata__"][_KEY])
        version = found.pop("version")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StyleFileError(
            f"it was not made by `uso style add`, or it is damaged; {_ANEW}"
        ) from error
    if version != _VERSION:
        raise StyleFileError(f"it has version {version} of the format; install a newer uso-batch")
    return _facts(found)


def style_in(data: bytes) -> EncodedStyle:
    """Return the style in a whole file.

    Raises:
        StyleFileError: it is damaged.
    """
    # They import torch, which the driver's process must not do.
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.torch import load  # noqa: PLC0415

    from uso_core.model.style_tokens import as_encoded  # noqa: PLC0415

    facts = facts_in(data)
    try:
        style = as_encoded(load(data)[_TENSOR])
    except (SafetensorError, KeyError) as error:
        raise StyleFileError(f"it is damaged or cut short ({error}); {_ANEW}") from error
    if style.sha256 != facts.sha256:
        raise StyleFileError(
            f"it is damaged: its tokens do not have the hash that it states; {_ANEW}"
        )
    return style


def _facts(found: dict[str, Any]) -> StyleFacts:
    try:
        return _FACTS.validate_json(json.dumps(found), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StyleFileError(f"its facts are wrong ({place}: {first['msg']}); {_ANEW}") from error
