"""The identity of a row: the hash of its content, its seed, its shard and its fingerprint.

Ids name files, and fingerprints decide which rows are generated again. So nothing here depends on
the machine, the Python version or the order of reading. The signatures of URLs are ignored: a link
with a new signature is still the same image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from pipelines.config.model import ModelConfig
from pipelines.config.schema import RunConfig
from pipelines.display import display_reference
from pipelines.failures import Failure
from pipelines.fields.field import Field
from pipelines.fields.table import (
    FACTS_BY_PLACE,
    LATER_FIELDS,
    PARAMETER_FIELDS,
    STYLE_WEIGHTS,
)
from pipelines.reference_facts import LibraryStyle
from pipelines.rows import ManifestRow, Reference, RejectedRow
from pipelines.storage.urls import unsigned_uri
from uso_core.errors import InvalidRequestError
from uso_core.request import MAX_PROMPT_CHARACTERS, MAX_SEED, Parameters

_HASH_BYTES = 16
_PARAMETERS = frozenset(field.name for field in PARAMETER_FIELDS)
_PARAMETER_FACTS = tuple(
    (" ".join(["%s"] * len(names)), attrgetter(*names))
    for names in FACTS_BY_PLACE
    if _PARAMETERS.issuperset(names)
)
_LATER_PARAMETERS = tuple(field for field in LATER_FIELDS if field.is_parameter)
encoded = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
"""Encodes a value as JSON, with the same text on every machine."""


def content_hash(raw: Mapping[str, object] | str) -> str:
    """Return the hash of a row's own input cells, before defaults, in 32 hex digits.

    The hash ignores null cells and the storage type of numbers. It also ignores cells of later
    fields whose values do not change the image, for example style weights of 1.

    Args:
        raw: the cells by our column names, or the text of a line that could not be read.
    """
    if isinstance(raw, str):
        return _digest("line", raw)
    plain = {name: _plain(value) for name, value in raw.items() if value is not None}
    for field in LATER_FIELDS:
        if field.name in plain and not _cell_counts(field, plain[field.name]):
            del plain[field.name]
    return _digest("row", plain)


def derived_seed(run_seed: int, row_id: str, num_images: int) -> int:
    """Return the seed for a row without one: 0 to 2³¹-1-`num_images`."""
    digest = blake2b(f"{run_seed}:{row_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (MAX_SEED + 1 - num_images)


def seed_of_try(seed: int, number: int, num_images: int) -> int:
    """Return the seed of a further try of a row.

    Args:
        seed: the seed of the first try.
        number: number of the try, from 1.
        num_images: images of the row, which have seeds of their own.
    """
    digest = blake2b(f"try {number} of {seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (MAX_SEED + 1 - num_images)


def shard_of(key: bytes, num_shards: int) -> int:
    """Return the shard, from 0, of the row with this `row_key`."""
    return int.from_bytes(key[:8], "big") % num_shards


class Fingerprints:
    """Hashes everything that changes a row's images or their files, in 32 hex digits.

    Args:
        config: the configuration; settings that change neither images nor files are ignored.
        model_fingerprint: the fingerprint of the weights.
    """

    def __init__(self, config: RunConfig, model_fingerprint: str) -> None:
        facts = run_facts(config, model_fingerprint)
        self._run = blake2b(encoded(facts).encode(), digest_size=_HASH_BYTES)

    def of_row(
        self,
        prompt: str,
        content_image: Reference | None,
        style_images: tuple[Reference, ...],
        parameters: Parameters,
        style_weights: Sequence[float] | None = None,
        library_styles: Sequence[LibraryStyle] = (),
    ) -> str:
        """Return the fingerprint of a valid row.

        Args:
            prompt: the prompt.
            content_image: the content image, resolved; None if there is none.
            style_images: the style images, resolved.
            parameters: all parameters, with the final seed.
            style_weights: one weight per style image; None is the same as 1 for each.
            library_styles: the styles of a library; their tokens count, not their names.
        """
        return self._finish(
            [
                _named_facts(parameters, style_weights, library_styles),
                prompt,
                "" if content_image is None else _reference_key(content_image),
                *[form % values(parameters) for form, values in _PARAMETER_FACTS],
                *map(_reference_key, style_images),
            ]
        )

    def of_rejected(self, content: str, message: str) -> str:
        """Return the fingerprint of a rejected row, which changes when the row is corrected.

        Args:
            content: the row's `content_hash`.
            message: the message of the row's failure.
        """
        return self._finish(["rejected", content, message])

    def _finish(self, facts: list[str]) -> str:
        digest = self._run.copy()
        # Lengths, so that two lists of facts never join to the same text.
        digest.update("".join([f"{len(fact)}:{fact}" for fact in facts]).encode())
        return digest.hexdigest()


def rejected_for_own_columns(
    row: ManifestRow, failure: Failure, column: str | None = None
) -> RejectedRow:
    """Reject a row with valid inputs for a value of the user's own columns.

    Its fingerprint has the message: it changes when a value, or the setting that it has to fit, is
    corrected.

    Args:
        row: the row.
        failure: the reason.
        column: the user's name of the invalid column; None if there are several.
    """
    text = encoded(["own columns", row.fingerprint, failure.message])
    fingerprint = blake2b(text.encode(), digest_size=_HASH_BYTES).hexdigest()
    return RejectedRow(
        row.id,
        failure,
        fingerprint,
        prompt=row.prompt,
        column=column,
        inputs_fingerprint=row.fingerprint,
    )


def run_facts(config: RunConfig, model_fingerprint: str) -> dict[str, object]:
    """Return the facts that are in the fingerprint of every row of a run.

    Raise the version when a change of the code gives the same row and configuration another image
    or another meaning.
    """
    return {
        "version": 1,
        "model": model_fingerprint,
        "preset": config.model.preset,
        **_preset_options(config.model),
        "exif_rotate": config.fetch.exif_rotate,
        # Not in fingerprints by default, so that outputs from before the key resume.
        **({"colour": config.fetch.colour} if config.fetch.colour != "convert" else {}),
        **config.output.encoding.file_facts,
    }


def _named_facts(
    parameters: Parameters,
    style_weights: Sequence[float] | None,
    library_styles: Sequence[LibraryStyle],
) -> str:
    """Return the first fact, which names the later fields whose values change the image."""
    fact = "row"
    for style in library_styles:
        fact += f" with style tokens {style.sha256} {style.weight}"
    if style_weights is not None:
        fact += _named_fact(STYLE_WEIGHTS, style_weights)
    for field in _LATER_PARAMETERS:
        fact += _named_fact(field, getattr(parameters, field.name))
    return fact


def _named_fact(field: Field, value: Any) -> str:  # noqa: ANN401 (of any kind)
    """Return a name and its value. Text is in quotes, so that it cannot look like a name."""
    if not field.counts(value):
        return ""
    text = " ".join(map(str, value)) if field.kind.is_list else encoded(value)
    return f" with {field.name.replace('_', ' ')} {text}"


def _cell_counts(field: Field, cell: Any) -> bool:  # noqa: ANN401 (whatever a cell holds)
    """Return False if the value in the cell of a later field does not change the image."""
    try:
        value = field.kind.read(field.name, cell)
    except InvalidRequestError:
        return True
    return value is None or field.counts(value)


def _preset_options(model: ModelConfig) -> dict[str, object]:
    """Return the options that override the preset."""
    threshold = {"cache_threshold": model.cache_threshold} if model.cache_threshold else {}
    attention = {"attention": model.attention} if model.attention != "auto" else {}
    return {**threshold, **attention}


def _reference_key(reference: Reference) -> str:
    shown = display_reference(reference)
    return unsigned_uri(shown) if "?" in shown or "@" in shown else shown


def _plain(value: Any) -> Any:  # noqa: ANN401 (whatever a cell holds)
    """Return `value` as a JSON value that does not depend on the storage type."""
    if isinstance(value, str) and len(value) > MAX_PROMPT_CHARACTERS:
        value = value.encode(errors="surrogatepass")  # no valid text; JSON would copy it
    if isinstance(value, str | bytes):
        return _reference_key(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    return repr(value)


def _digest(kind: str, content: object) -> str:
    return blake2b(encoded([kind, content]).encode(), digest_size=_HASH_BYTES).hexdigest()
