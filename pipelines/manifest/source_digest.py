"""Eight bytes that stand for a row as it is written and for all that is then done with it.

A row that is recorded with the digest that it has now would get the fingerprint that it was
recorded with, so a run leaves it out without looking at it in Python: about 2 µs a row in place of
20. The reverse does not hold: a row with another digest (a URL that is signed anew, a default that
is now written out) may be the same row still, and its fingerprint tells. Cells are hashed with
blake2b, so that two versions of a row have one digest by a chance of 2⁻⁶⁴, which is the chance that
their fingerprints have in the ledger's index.
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
from pipelines.fields.table import INPUT_NAMES, LATER_FIELDS, STYLE_WEIGHTS
from pipelines.keys.index import row_keys
from pipelines.manifest.row_identity import encoded, run_facts
from pipelines.manifest.weighted_rows import weighted_rows
from uso_core.loading.source import ModelCard

Digests = npt.NDArray[np.int64]
"""`[n]`; 0 where a row has none."""

_BYTES = 8
_LARGE = pa.large_binary()
_NOTHING = pa.scalar(b"", _LARGE)
_COLON = pa.scalar(b":", _LARGE)


class SourceDigests:
    """Digests of the rows of one manifest.

    Args:
        config: all of it that changes how a row is read or drawn is part of every digest.
        model: likewise.
        inputs: our column name → the user's.
    """

    def __init__(self, config: RunConfig, model: ModelCard, inputs: Mapping[str, str]) -> None:
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
        facts = {
            **run_facts(config, model.fingerprint),
            "defaults": config.defaults.model_dump(mode="json", exclude_none=True),
            "seed": config.stylize.seed,
            "limits": limits,
            "columns": self._inputs,
        }
        self._run = blake2b(encoded(facts).encode(), digest_size=blake2b.SALT_SIZE)

    def of_batch(self, batch: pa.RecordBatch, folder: str) -> Digests:
        """The digests of raw rows; 0 for all of them where a column's type is not a plain one.

        Args:
            batch: input columns under the user's names; others do not matter.
            folder: what relative references are relative to.
        """
        columns = {
            ours: batch.column(theirs)
            for ours, theirs in self._inputs.items()
            if theirs in batch.schema.names
        }
        texts = [_text(column) for column in columns.values()]
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

    def _later_frame(
        self, field: Field, theirs: str, column: pa.Array, columns: Mapping[str, pa.Array]
    ) -> pa.Array | None:
        """One more frame for rows whose cell counts; nothing for others, as for no column."""
        text = _text(column)
        if text is None:
            return None
        facts = [theirs, str(column.type), *(self._limits[name] for name in field.limits)]
        if field is STYLE_WEIGHTS:
            counting = weighted_rows(column, columns, self._defaults)
        else:
            counting = column.is_valid()
            facts.append(field.name)  # not of style weights, which were the first later field
        frame = _framed(
            pc.binary_join_element_wise(pa.scalar(encoded(facts).encode(), _LARGE), text, _NOTHING)
        )
        return pc.if_else(counting, frame, _NOTHING)


def id_keys(ids: pa.Array) -> bytes | None:
    """The keys of a column of ids, joined; None where its type is not a usual one of ids.

    What is no id (null, text that is too long) gets a key, too, which no record has.
    """
    if pa.types.is_dictionary(ids.type):
        return id_keys(ids.dictionary_decode())
    if pa.types.is_integer(ids.type):
        ids = ids.cast(pa.string())
    elif not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)):
        return None
    return row_keys(ids.cast(_LARGE).fill_null(b"").to_pylist())


def _text(column: pa.Array) -> pa.Array | None:
    """Bytes that stand for each value among all of its type, null for null; None: not known how."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _text(column.dictionary_decode())
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
    """Hashes, because images are large, and joining would copy them."""
    hashes = [
        blake2b(cell.as_buffer(), digest_size=16).digest() if cell.is_valid else None
        for cell in column
    ]
    return pa.array(hashes, _LARGE)


def _list_text(column: pa.Array) -> pa.Array | None:
    items = _text(column.flatten())
    if items is None:
        return None
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    joined = pc.binary_join(pa.LargeListArray.from_arrays(offsets, _framed(items)), _NOTHING)
    return _null_where(column, joined)


def _struct_text(column: pa.Array) -> pa.Array | None:
    fields = [_text(field) for field in column.flatten()]
    known = [field for field in fields if field is not None]
    if not known or len(known) < len(fields):
        return None
    return _null_where(column, pc.binary_join_element_wise(*map(_framed, known), _NOTHING))


def _null_where(column: pa.Array, texts: pa.Array) -> pa.Array:
    return pc.if_else(column.is_null(), pa.scalar(None, _LARGE), texts)


def _framed(texts: pa.Array) -> pa.Array:
    """`LENGTH:TEXT`, for null `:`, so that no two rows of texts run together into the same one."""
    lengths = pc.binary_length(texts).cast(pa.string()).cast(_LARGE)
    return pc.binary_join_element_wise(
        lengths, texts, _COLON, null_handling="replace", null_replacement=b""
    )
