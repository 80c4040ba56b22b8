"""Content images and combinations of styles as numbers: hashes, the same in one process."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.keys.index import UInt64
from pipelines.keys.quick import mixed, quick_hashes

NONE = np.uint64(0)
"""The key of no content image, and of no style."""


def text_keys(texts: pa.Array) -> UInt64:
    """Return a key for each text, `[n]`; `NONE` for null."""
    coded = texts.dictionary_encode()
    known = np.append(np.maximum(quick_hashes(coded.dictionary), np.uint64(1)), NONE)
    keys: UInt64 = known[pc.fill_null(coded.indices, len(known) - 1).to_numpy()]
    return keys


def list_keys(lists: pa.Array) -> UInt64:
    """Return a key for each list of texts, `[n]`; `NONE` for an empty one and for null."""
    lengths = lengths_of(lists)
    flat = text_keys(pc.list_flatten(lists))
    starts = np.cumsum(lengths) - lengths
    keys = np.zeros(len(lists), np.uint64)
    for place in range(int(lengths.max(initial=0))):
        rows = np.flatnonzero(lengths > place)
        keys[rows] = np.maximum(mixed(keys[rows] ^ flat[starts[rows] + place]), np.uint64(1))
    return keys


def lengths_of(lists: pa.Array) -> npt.NDArray[np.int64]:
    """Return the number of values in each list, `[n]`; 0 for null."""
    lengths: npt.NDArray[np.int32] = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    return lengths.astype(np.int64)
