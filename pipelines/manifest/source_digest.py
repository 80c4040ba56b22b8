"""Eight-byte digests of raw rows. A run compares them to skip recorded rows without parsing.

The digest covers the row's cells and every setting that changes the row's meaning or its images. If
it equals the recorded digest, the row's fingerprint would equal the recorded one too. Comparing
digests takes about 2 µs per row, parsing takes 20.

A row with another digest may still be the same row, for example after a URL got a new signature.
Such a row is parsed and its fingerprint compared. Cells are hashed with blake2b: two versions of a
row share a digest with a probability of 2⁻⁶⁴, as their fingerprints do in the ledger's index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config.schema import RunConfig
from pipelines.fields.field import Field
from pipelines.fields.table import INPUT_NAMES, LATER_FIELDS, STYLE, STYLE_WEIGHTS
from pipelines.keys.index import row_keys
from pipelines.manifest.row_identity import encoded, run_facts
from pipelines.manifest.row_styles import RowStyles
from pipelines.manifest.weighted_rows import weighted_rows
from uso_core.loading.source import ModelCard
from uso_core.request import LATER_LIMITS, Limits

Digests = npt.NDArray[np.int64]
"""Digests of rows, `[n]`; 0 for a row without one."""

_BYTES = 8
_LARGE = pa.large_binary()
_NOTHING = pa.scalar(b"", _LARGE)
_COLON = pa.scalar(b":", _LARGE)


class SourceDigests:
    """Computes the digests of a manifest's rows.

    Args:
        config: the configuration. Every setting that changes a row or its images is part of every
            digest.
        model: the model. Its fingerprint and its limits are part of every digest.
        inputs: the user's names of columns, by our names.
        styles: the styles of a library that rows may name; a row's digest changes with its styles.
    """

    def __init__(
        self,
        config: RunConfig,
        model: ModelCard,
        inputs: Mapping[str, str],
        styles: RowStyles | None = None,
    ) -> None:
        self._styles = styles
        later = {field.name for field in LATER_FIELDS}
        self._inputs = {
            name: inputs[name] for name in INPUT_NAMES if name in inputs and name not in later
        }
        self._later = [
            (field, inputs[field.name]) for field in LATER_FIELDS if field.name in inputs
        ]
        self._defaults = config.defaults
        self._limits = asdict(model.limits)
        limits = dict(self._limits)
        for field in LATER_FIELDS:
            for name in field.limits:
                del limits[name]
        usual = asdict(Limits())
        for name in LATER_LIMITS:  # rows keep the digests that they had before there were these
            if limits[name] == usual[name]:
                del limits[name]
        facts = {
            **run_facts(config, model.fingerprint),
            "defaults": config.defaults.model_dump(mode="json", exclude_none=True),
            "seed": config.stylize.seed,
            "limits": limits,
            "columns": self._inputs,
            **self._default_style(),
        }
        self._run = blake2b(encoded(facts).encode(), digest_size=blake2b.SALT_SIZE)

    @property
    def settings(self) -> str | None:
        """A text that changes with every setting on which a digest depends.

        None if digests depend on other files, too: those of a library of styles.
        """
        if self._styles is not None:
            return None
        later = [
            [field.name, theirs, *(self._limits[name] for name in field.limits)]
            for field, theirs in self._later
        ]
        return encoded([self._run.hexdigest(), later])

    def of_batch(self, batch: pa.RecordBatch, folder: str) -> Digests:
        """Compute the digests of raw rows. All are 0 if a column has an unusual type.

        Args:
            batch: the input columns, with the user's names; other columns are ignored.
            folder: the folder that relative references are resolved against.
        """
        columns = {
            ours: batch.column(theirs)
            for ours, theirs in self._inputs.items()
            if theirs in batch.schema.names
        }
        texts = [text_of(column) for column in columns.values()]
        present = [text for text in texts if text is not None]
        if not present or len(present) < len(texts):
            return np.zeros(len(batch), np.int64)
        run = self._run.copy()
        types = [[name, str(column.type)] for name, column in columns.items()]
        run.update(encoded([folder, types]).encode())
        salt = run.digest()
        frames = [*map(_framed, present)]
        for field, theirs in self._later:
            if theirs in batch.schema.names:
                frame = self._later_frame(field, theirs, batch.column(theirs), columns)
                if frame is None:
                    return np.zeros(len(batch), np.int64)
                frames.append(frame)
        rows = pc.binary_join_element_wise(*frames, _NOTHING).to_pylist()
        digests = b"".join([blake2b(row, digest_size=_BYTES, salt=salt).digest() for row in rows])
        return np.frombuffer(digests, "<i8").astype(np.int64)

    def _default_style(self) -> dict[str, str]:
        usual = self._defaults.style
        if self._styles is None or usual is None:
            return {}
        return {"default_style": self._styles.facts_of_cell(usual).decode(errors="replace")}

    def _later_frame(
        self, field: Field, theirs: str, column: pa.Array, columns: Mapping[str, pa.Array]
    ) -> pa.Array | None:
        """Frame the cells of a later field that may change the image.

        Other cells contribute nothing, so that their rows have the digest that they would have
        without the column.
        """
        text = text_of(column)
        if text is None:
            return None
        facts = [theirs, str(column.type), *(self._limits[name] for name in field.limits)]
        if field is STYLE and self._styles is not None:
            text = pc.binary_join_element_wise(text, self._styles.facts_of_column(column), _COLON)
        if field is STYLE_WEIGHTS:
            counting = weighted_rows(column, columns, self._defaults)
        else:
            counting = column.is_valid()
            facts.append(field.name)  # version 0.1.0 left out the name of style weights
        frame = _framed(
            pc.binary_join_element_wise(pa.scalar(encoded(facts).encode(), _LARGE), text, _NOTHING)
        )
        return pc.if_else(counting, frame, _NOTHING)


def id_keys(ids: pa.Array) -> bytes | None:
    """Return the keys of a column of ids, joined; None if ids do not usually have its type.

    A cell that is not an id (null, text that is too long) gets a key that no record has.
    """
    if pa.types.is_dictionary(ids.type):
        return id_keys(ids.dictionary_decode())
    if pa.types.is_integer(ids.type):
        ids = ids.cast(pa.string())
    elif not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)):
        return None
    return row_keys(ids.cast(_LARGE).fill_null(b"").to_pylist())


def text_of(column: pa.Array) -> pa.Array | None:
    """Return bytes that identify each value within its type, and null for null.

    Returns:
        An array of large binary; None if the type is not supported.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return text_of(column.dictionary_decode())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _list_text(column)
    if pa.types.is_struct(kind):
        return _struct_text(column)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _bytes_text(column)
    if pa.types.is_integer(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind):
        column = column.cast(pa.string())
    elif pa.types.is_boolean(kind):
        column = column.cast(pa.uint8()).cast(pa.string())
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        return None
    return column.cast(_LARGE)


def _bytes_text(column: pa.Array) -> pa.Array:
    """Return a hash of each cell: images are large, and joining them would copy them."""
    hashes = [
        blake2b(cell.as_buffer(), digest_size=16).digest() if cell.is_valid else None
        for cell in column
    ]
    return pa.array(hashes, _LARGE)


def _list_text(column: pa.Array) -> pa.Array | None:
    items = text_of(column.flatten())
    if items is None:
        return None
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    joined = pc.binary_join(pa.LargeListArray.from_arrays(offsets, _framed(items)), _NOTHING)
    return _null_where(column, joined)


def _struct_text(column: pa.Array) -> pa.Array | None:
    fields = [text_of(field) for field in column.flatten()]
    known = [field for field in fields if field is not None]
    if not known or len(known) < len(fields):
        return None
    return _null_where(column, pc.binary_join_element_wise(*map(_framed, known), _NOTHING))


def _null_where(column: pa.Array, texts: pa.Array) -> pa.Array:
    return pc.if_else(column.is_null(), pa.scalar(None, _LARGE), texts)


def _framed(texts: pa.Array) -> pa.Array:
    """Return `LENGTH:TEXT`, and `:` for null: different rows never join to the same text."""
    lengths = pc.binary_length(texts).cast(pa.string()).cast(_LARGE)
    return pc.binary_join_element_wise(
        lengths, texts, _COLON, null_handling="replace", null_replacement=b""
    )
