from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest

from pipelines.ledger.row_state import (
    StateCodes,
    fingerprint_number,
    fingerprint_numbers,
    is_completed,
)
from pipelines.record import RECORD_FIELDS
from tests.pipelines.records import completed, failed

ERROR = next(f.type for f in RECORD_FIELDS if f.name == "error")


def test_states_say_what_the_records_say() -> None:
    records = [
        failed("a", code="uri_timeout"),
        completed("b"),
        failed("c", code="image_corrupt", retryable=False),
        failed("d", code="uri_timeout"),
        failed("e", code="a_code_of_a_later_version"),
    ]
    codes = StateCodes()
    states = codes.encode(
        pa.array([r["status"] for r in records]), pa.array([r.get("error") for r in records], ERROR)
    )
    assert is_completed(states).tolist() == [False, True, False, False, False]
    said = [codes.recorded(state, 0) for state in states.tolist()]
    assert [(r.status, r.code, r.retryable) for r in said] == [
        ("failed", "uri_timeout", True),
        ("completed", None, False),
        ("failed", "image_corrupt", False),
        ("failed", "uri_timeout", True),
        ("failed", "a_code_of_a_later_version", True),
    ]


@pytest.mark.parametrize(
    "fingerprints",
    [
        [hashlib.sha256(b"%d" % n).hexdigest() for n in range(50)],
        ["0123456789abcdef", "FEDCBA9876543210aa"],
        ["short", "0123456789abcdef", "", "  123456789abcdef", "not hex at all, but long"],
        [],
    ],
)
def test_fingerprints_of_a_batch_are_those_of_each(fingerprints: list[str]) -> None:
    numbers = fingerprint_numbers(pa.array(fingerprints, pa.string())).tolist()
    assert numbers == [fingerprint_number(text) for text in fingerprints]
    assert len(set(numbers)) == len(fingerprints)
