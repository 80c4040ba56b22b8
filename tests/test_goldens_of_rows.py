"""Ids, fingerprints, digests, seeds, file names and records are those of version 0.1.0.

A run skips a row if its fingerprint is the recorded one. If fingerprints change, a new version
generates every image of every output again. See tests/goldens/rows/README.md.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cache
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.golden_rows.cases import CASES, FOLDER, GOLDEN, LINES, TABLES, file_bytes
from tests.golden_rows.facts import as_text, facts_of
from tests.rows_adapter import RECORD_NAMES, failures, rejected_fingerprint, saved_names

_NEVER = object()
of_each_case = pytest.mark.parametrize("case", CASES)


@cache
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


@cache
def now(case: str) -> dict[str, Any]:
    """Compute the facts of a case, as JSON returns them, without columns that are new."""
    found: dict[str, Any] = json.loads(json.dumps(facts_of(CASES[case])))
    old = {_column(column) for column in golden()["cases"][case]["schema"]}
    found["schema"] = [column for column in found["schema"] if not _is_new(_column(column), old)]
    for row in (*found["accepted"], *found["rejected"]):
        if "record" in row:
            kept = {name: cell for name, cell in row["record"].items() if not _is_new(name, old)}
            row["record"] = kept
    return found


def _column(described: str) -> str:
    return described.partition(":")[0]


def _is_new(name: str, old: Set[str]) -> bool:
    """Return True for a column that a later version adds to all records."""
    return name in RECORD_NAMES and name not in old


def differences(kept: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """List the facts that differ, each with its row's id."""
    if len(kept) != len(found):
        return [f"{len(kept)} rows in the golden file, {len(found)} now"]
    return [
        f"{before['id']}: {change}"
        for before, after in zip(kept, found, strict=True)
        for change in _changes("", before, after)
    ]


def _changes(where: str, before: Any, after: Any) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in {**before, **after}:
            inner = (before.get(name, _NEVER), after.get(name, _NEVER))
            yield from _changes(f"{where}.{name}", *inner)
    elif before != after or type(before) is not type(after):
        yield f"{where.lstrip('.')} was {_shown(before)}, is {_shown(after)}"


def _shown(value: Any) -> str:
    return "absent" if value is _NEVER else repr(value)


@of_each_case
def test_accepted_rows_are_what_they_were(case: str) -> None:
    assert differences(golden()["cases"][case]["accepted"], now(case)["accepted"]) == []


@of_each_case
def test_rejected_rows_are_what_they_were(case: str) -> None:
    """Compare everything but fingerprints."""
    assert differences(golden()["cases"][case]["rejected"], now(case)["rejected"]) == []


@of_each_case
def test_the_words_for_rejected_rows_are_what_they_were(case: str) -> None:
    """Compare fingerprints, which change with the words of a rejected row's message."""
    kept = golden()["cases"][case]["rejected_fingerprints"]
    assert list(_changes("", kept, now(case)["rejected_fingerprints"])) == []


@of_each_case
def test_records_have_the_same_columns(case: str) -> None:
    assert now(case)["schema"] == golden()["cases"][case]["schema"]


def test_rejected_rows_have_the_same_fingerprint_for_the_same_words() -> None:
    found = [rejected_fingerprint("0123", "why"), rejected_fingerprint("", "größe")]
    assert found == golden()["rejected"]


def test_failure_codes_mean_the_same() -> None:
    kept = golden()["failures"]
    assert {code: failures()[code] for code in kept} == kept


def test_images_are_stored_under_the_same_names() -> None:
    kept = golden()["saved_names"]
    assert {name: saved_names(name) for name in kept} == kept


def test_the_golden_file_has_every_case() -> None:
    assert list(golden()["cases"]) == list(CASES)
    assert as_text(golden()) == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TABLES)
def test_the_generator_makes_the_same_tables(name: str) -> None:
    made = pq.read_table(io.BytesIO(file_bytes(name)))
    kept = pq.read_table(FOLDER / name)
    assert made.schema == kept.schema
    assert list(map(repr, made.to_pylist())) == list(map(repr, kept.to_pylist()))


@pytest.mark.parametrize("name", LINES)
def test_the_generator_makes_the_same_lines(name: str) -> None:
    assert file_bytes(name) == (FOLDER / name).read_bytes()
