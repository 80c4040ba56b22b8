"""What identifies a row: its content's hash, its seed, its shard and its fingerprint.

Everything here is the same on every machine, Python version and order of reading, because ids name
files and fingerprints decide what is drawn again. The signatures of URLs are left out: a link that
is signed anew is still the same picture.
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
from pipelines.fields.field import Field
from pipelines.fields.table import (
    FACTS_BY_PLACE,
    LATER_FIELDS,
    PARAMETER_FIELDS,
    STYLE_WEIGHTS,
)
from pipelines.rows import Reference
from pipelines.storage.urls import redact_uri
from uso_core.errors import InvalidRequestError
from uso_core.request import MAX_SEED, Parameters

_HASH_BYTES = 16
_PARAMETERS = frozenset(field.name for field in PARAMETER_FIELDS)
_PARAMETER_FACTS = tuple(
    (" ".join(["%s"] * len(names)), attrgetter(*names))
    for names in FACTS_BY_PLACE
    if _PARAMETERS.issuperset(names)
)
_LATER_PARAMETERS = tuple(field for field in LATER_FIELDS if field.is_parameter)
encoded = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
"""JSON that is the same wherever it is made."""


def content_hash(raw: Mapping[str, object] | str) -> str:
    """The hash of a row's own input cells, as written (before defaults), 32 hex digits.

    Null cells, cells of later fields that count for nothing (style weights of 1), and how a number
    is stored, do not change it.

    Args:
        raw: cells by our column names; or the text of a line that could not be read.
    """
    if isinstance(raw, str):
        return _digest("line", raw)
    plain = {name: _plain(value) for name, value in raw.items() if value is not None}
    for field in LATER_FIELDS:
        if field.name in plain and not _cell_counts(field, plain[field.name]):
            del plain[field.name]
    return _digest("row", plain)


def derived_seed(run_seed: int, row_id: str, num_images: int) -> int:
    """The seed of a row that gives none: 0 to 2³¹-1-`num_images`."""
    digest = blake2b(f"{run_seed}:{row_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (MAX_SEED + 1 - num_images)


def shard_of(key: bytes, num_shards: int) -> int:
    """The shard, from 0, of the row whose id has this `row_key`."""
    return int.from_bytes(key[:8], "big") % num_shards


class Fingerprints:
    """Hashes of everything that changes a row's picture or its file, 32 hex digits.

    Args:
        config: of which what changes pictures and files is used.
        model_fingerprint: of the weights.
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
    ) -> str:
        """The fingerprint of a valid row.

        Args:
            prompt: as it is drawn.
            content_image: resolved.
            style_images: resolved.
            parameters: with the final seed.
            style_weights: of each style; None is the same as 1 for each.
        """
        return self._finish(
            [
                _named_facts(parameters, style_weights),
                prompt,
                "" if content_image is None else _reference_key(content_image),
                *[form % values(parameters) for form, values in _PARAMETER_FACTS],
                *map(_reference_key, style_images),
            ]
        )

    def of_rejected(self, content: str, message: str) -> str:
        """The fingerprint of a row that is not accepted: changes when it is corrected.

        Args:
            content: the row's `content_hash`.
            message: why it is not accepted.
        """
        return self._finish(["rejected", content, message])

    def _finish(self, facts: list[str]) -> str:
        digest = self._run.copy()
        # With their lengths, so that two lists of facts never run together into the same text.
        digest.update("".join([f"{len(fact)}:{fact}" for fact in facts]).encode())
        return digest.hexdigest()


def run_facts(config: RunConfig, model_fingerprint: str) -> dict[str, object]:
    """What all rows of a run have in common in their fingerprints.

    The version is to be raised when the same row and configuration give another picture, or are
    read in another way, than before.
    """
    return {
        "version": 1,
        "model": model_fingerprint,
        "preset": config.model.preset,
        **_preset_options(config.model),
        "exif_rotate": config.fetch.exif_rotate,
        **config.output.encoding.file_facts,
    }


def _named_facts(parameters: Parameters, style_weights: Sequence[float] | None) -> str:
    """Join the fields that were added later, each with its name, if their values count."""
    fact = "row"
    if style_weights is not None:
        fact += _named_fact(STYLE_WEIGHTS, style_weights)
    for field in _LATER_PARAMETERS:
        fact += _named_fact(field, getattr(parameters, field.name))
    return fact


def _named_fact(field: Field, value: Any) -> str:  # noqa: ANN401 (of any kind)
    """The name and the value, in quotes if it is text, so that it can't be taken for a name."""
    if not field.counts(value):
        return ""
    text = " ".join(map(str, value)) if field.kind.is_list else encoded(value)
    return f" with {field.name.replace('_', ' ')} {text}"


def _cell_counts(field: Field, cell: Any) -> bool:  # noqa: ANN401 (whatever a cell holds)
    """Return False if the cell of a later field holds a value that changes nothing."""
    try:
        value = field.kind.read(field.name, cell)
    except InvalidRequestError:
        return True
    return value is None or field.counts(value)


def _preset_options(model: ModelConfig) -> dict[str, object]:
    """Those that are not the usual ones: a preset's own values belong to its name."""
    threshold = {"cache_threshold": model.cache_threshold} if model.cache_threshold else {}
    attention = {"attention": model.attention} if model.attention != "auto" else {}
    return {**threshold, **attention}


def _reference_key(reference: Reference) -> str:
    shown = display_reference(reference)
    return redact_uri(shown) if "?" in shown or "@" in shown else shown


def _plain(value: Any) -> Any:  # noqa: ANN401 (whatever a cell holds)
    """`value` as JSON that does not depend on how it is stored."""
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
