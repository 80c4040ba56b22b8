"""A record's state in one byte; its fingerprint and its digests in eight, eight and four bytes."""

from __future__ import annotations

import re
from enum import IntFlag
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import LedgerError
from pipelines.record import COLUMNS_DIGEST
from pipelines.rows import Status

STATE_DTYPE = np.dtype(
    [("fingerprint", np.uint64), ("source", np.int64), ("columns", np.uint32), ("state", np.uint8)]
)
States = npt.NDArray[np.void]
"""`[n]` of `STATE_DTYPE`."""

_COMPLETED = 1
_FIRST_FAILED = 2
_HEX = re.compile(r"[0-9a-fA-F]{16}")
_HEX_DIGITS = 16


class Mark(IntFlag):
    """The findings of a check of the output about a recorded row."""

    NONE = 0
    IMAGE_LOST = 1
    """An image of the row is missing, or is not the recorded file."""
    REFERENCE_CHANGED = 2
    """A reference of the row is another file than the one that was fetched."""


class Recorded(NamedTuple):
    """The recorded outcome of one row.

    Attributes:
        code: failure code; None if the row is completed.
        retryable: True if retrying the failed row may help.
        fingerprint_number: 8 bytes of the fingerprint.
        columns_number: 4 bytes of the digest of the user's own columns; 0: not known.
        mark: the findings of a check of the output.
    """

    code: str | None
    retryable: bool
    fingerprint_number: int
    columns_number: int = 0
    mark: Mark = Mark.NONE

    @property
    def status(self) -> Status:
        """`failed` if there is a failure code, else `completed`."""
        return "completed" if self.code is None else "failed"

    def has_fingerprint(self, fingerprint: str) -> bool:
        """Return True if the row was recorded with this fingerprint."""
        return fingerprint_number(fingerprint) == self.fingerprint_number

    def has_columns(self, digest: int | None) -> bool:
        """Return True unless the row was recorded with other values in the user's own columns."""
        if digest is None or not self.columns_number:
            return True
        return int(columns_numbers(np.array([digest]))[0]) == self.columns_number


class StateCodes:
    """Numbers for `(status, code, retryable)`: 1 is completed; each failure code has two.

    The codes come from the records, which another version of this program may have written.
    """

    def __init__(self) -> None:
        self._codes: list[str] = []

    def encode(self, status: pa.Array, error: pa.StructArray) -> npt.NDArray[np.uint8]:
        """Return the states of the rows of a batch, `[n]`."""
        completed = pc.equal(status, "completed").to_numpy(zero_copy_only=False)
        states = np.full(len(status), _COMPLETED, np.uint8)
        if completed.all():
            return states
        error = error.filter(pa.array(~completed))
        codes = pc.fill_null(pc.struct_field(error, "code"), "internal").dictionary_encode()
        numbers = np.array([self._number(code) for code in codes.dictionary.to_pylist()], np.uint8)
        retryable = pc.fill_null(pc.struct_field(error, "retryable"), False)
        failed = _FIRST_FAILED + 2 * numbers[codes.indices.to_numpy(zero_copy_only=False)]
        failed += retryable.to_numpy(zero_copy_only=False)
        states[~completed] = failed
        return states

    def code(self, state: int) -> str | None:
        """Return the failure code of a state; None for completed."""
        return None if state == _COMPLETED else self._codes[(state - _FIRST_FAILED) // 2]

    def recorded(
        self, state: int, fingerprint: int, columns: int = 0, mark: Mark = Mark.NONE
    ) -> Recorded:
        """Convert a state, numbers of the fingerprint and the columns, and a mark to `Recorded`."""
        code = self.code(state)
        retryable = code is not None and bool((state - _FIRST_FAILED) % 2)
        return Recorded(code, retryable, fingerprint, columns, mark)

    def _number(self, code: str) -> int:
        if code not in self._codes:
            if len(self._codes) == 126:
                reason = f"more than 126 failure codes, the last {code!r}; no version has as many"
                raise LedgerError("records", reason)
            self._codes.append(code)
        return self._codes.index(code)


def states_of(columns: pa.RecordBatch, codes: StateCodes) -> States:
    """Return the states of records, `[n]`.

    Args:
        columns: status, error and fingerprint, and the digests if the records have them.
        codes: is extended with the codes of the errors.
    """
    states = np.zeros(len(columns), STATE_DTYPE)
    states["state"] = codes.encode(columns["status"], columns["error"])
    states["fingerprint"] = fingerprint_numbers(columns["fingerprint"])
    if "source_digest" in columns.schema.names:
        states["source"] = columns["source_digest"].fill_null(0).to_numpy()
    if COLUMNS_DIGEST in columns.schema.names:
        digests = columns[COLUMNS_DIGEST]
        known = digests.is_valid().to_numpy(zero_copy_only=False)
        states["columns"] = np.where(known, columns_numbers(digests.fill_null(0).to_numpy()), 0)
    return states


def is_completed(states: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return a mask of the completed states, `[n]`."""
    return np.asarray(states == _COMPLETED)


def is_final(states: npt.NDArray[np.uint8], *, retry_failed: bool) -> npt.NDArray[np.bool_]:
    """Return a mask of the states that a run leaves unchanged, `[n]`: completed or failed for good.

    Args:
        states: `[n]`.
        retry_failed: True if no failure is final.
    """
    final = is_completed(states)
    if not retry_failed:
        final |= (states >= _FIRST_FAILED) & ((states - _FIRST_FAILED) % 2 == 0)
    return final


def columns_numbers(digests: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """Return 4 bytes of each digest of own columns, `[n]`; never 0."""
    low = digests.view(np.uint64).astype(np.uint32)  # the lower half
    return np.asarray(np.maximum(low, 1))


def fingerprint_number(fingerprint: str) -> int:
    """Return 8 bytes of a fingerprint: its first 16 hex digits, or its hash if they are not hex."""
    if _HEX.match(fingerprint):
        return int(fingerprint[:_HEX_DIGITS], 16)
    return int.from_bytes(blake2b(fingerprint.encode(), digest_size=8).digest(), "big")


def fingerprint_numbers(fingerprints: pa.Array) -> npt.NDArray[np.uint64]:
    """Return `fingerprint_number` of each, `[n]`."""
    heads = pc.utf8_slice_codeunits(fingerprints, 0, _HEX_DIGITS)
    if pc.all(pc.match_substring_regex(heads, f"^{_HEX.pattern}$")).as_py():
        digits = bytes.fromhex("".join(heads.to_pylist()))
        return np.frombuffer(digits, ">u8").astype(np.uint64)
    return np.array([fingerprint_number(text) for text in fingerprints.to_pylist()], np.uint64)
