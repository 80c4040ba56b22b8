"""What a record says about its row, in one byte; its fingerprint and its source, in eight each."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.rows import Status

STATE_DTYPE = np.dtype([("fingerprint", np.uint64), ("source", np.int64), ("state", np.uint8)])
States = npt.NDArray[np.void]
"""`[n]` of `STATE_DTYPE`."""

_COMPLETED = 1
_FIRST_FAILED = 2
_HEX = re.compile(r"[0-9a-fA-F]{16}")
_HEX_DIGITS = 16


class Recorded(NamedTuple):
    """What is recorded of one row.

    Attributes:
        code: why it failed; None: it is completed.
        retryable: whether trying the failed row again may help.
        fingerprint_number: 8 bytes of the fingerprint.
    """

    code: str | None
    retryable: bool
    fingerprint_number: int

    @property
    def status(self) -> Status:
        """`failed` where there is a code."""
        return "completed" if self.code is None else "failed"

    def has_fingerprint(self, fingerprint: str) -> bool:
        """Whether the row was recorded with this fingerprint."""
        return fingerprint_number(fingerprint) == self.fingerprint_number


class StateCodes:
    """Numbers for `(status, code, retryable)`: 1 is completed, from 2 on each failure code has two.

    The codes are those that the records hold, which may be of another version of this program.
    """

    def __init__(self) -> None:
        self._codes: list[str] = []

    def encode(self, status: pa.Array, error: pa.StructArray) -> npt.NDArray[np.uint8]:
        """The states of the rows of a batch, `[n]`."""
        completed = pc.equal(status, "completed").to_numpy(zero_copy_only=False)
        states = np.full(len(status), _COMPLETED, np.uint8)
        if completed.all():
            return states
        codes = pc.fill_null(pc.struct_field(error, "code"), "internal").dictionary_encode()
        numbers = np.array([self._number(code) for code in codes.dictionary.to_pylist()], np.uint8)
        retryable = pc.fill_null(pc.struct_field(error, "retryable"), False)
        failed = _FIRST_FAILED + 2 * numbers[codes.indices.to_numpy(zero_copy_only=False)]
        failed += retryable.to_numpy(zero_copy_only=False)
        states[~completed] = failed[~completed]
        return states

    def code(self, state: int) -> str | None:
        """The failure code of a state; None for completed."""
        return None if state == _COMPLETED else self._codes[(state - _FIRST_FAILED) // 2]

    def recorded(self, state: int, fingerprint: int) -> Recorded:
        """A state and a fingerprint in words."""
        code = self.code(state)
        retryable = code is not None and bool((state - _FIRST_FAILED) % 2)
        return Recorded(code, retryable, fingerprint)

    def _number(self, code: str) -> int:
        if code not in self._codes:
            if len(self._codes) == 126:
                raise ValueError(f"more than 126 failure codes in the records, the last {code!r}")
            self._codes.append(code)
        return self._codes.index(code)


def states_of(columns: pa.RecordBatch, codes: StateCodes) -> States:
    """The states of records, `[n]`.

    Args:
        columns: status, error and fingerprint, and source_digest where the records have it.
        codes: takes in the codes of the errors.
    """
    states = np.zeros(len(columns), STATE_DTYPE)
    states["state"] = codes.encode(columns["status"], columns["error"])
    states["fingerprint"] = fingerprint_numbers(columns["fingerprint"])
    if "source_digest" in columns.schema.names:
        states["source"] = columns["source_digest"].fill_null(0).to_numpy()
    return states


def is_completed(states: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which of the states are completed, `[n]`."""
    return np.asarray(states == _COMPLETED)


def is_final(states: npt.NDArray[np.uint8], *, retry_failed: bool) -> npt.NDArray[np.bool_]:
    """Which of the states a run leaves as they are, `[n]`: completed, or failed for good.

    Args:
        states: `[n]`.
        retry_failed: whether no failure is for good.
    """
    final = is_completed(states)
    if not retry_failed:
        final |= (states >= _FIRST_FAILED) & ((states - _FIRST_FAILED) % 2 == 0)
    return final


def fingerprint_number(fingerprint: str) -> int:
    """8 bytes of a fingerprint: its first 16 hex digits, or its hash if it does not begin so."""
    if _HEX.match(fingerprint):
        return int(fingerprint[:_HEX_DIGITS], 16)
    return int.from_bytes(blake2b(fingerprint.encode(), digest_size=8).digest(), "big")


def fingerprint_numbers(fingerprints: pa.Array) -> npt.NDArray[np.uint64]:
    """`fingerprint_number` of each, `[n]`."""
    heads = pc.utf8_slice_codeunits(fingerprints, 0, _HEX_DIGITS)
    if pc.all(pc.match_substring_regex(heads, f"^{_HEX.pattern}$")).as_py():
        digits = bytes.fromhex("".join(heads.to_pylist()))
        return np.frombuffer(digits, ">u8").astype(np.uint64)
    return np.array([fingerprint_number(text) for text in fingerprints.to_pylist()], np.uint64)
