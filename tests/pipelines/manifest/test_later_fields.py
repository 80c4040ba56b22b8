"""Identities of rows after a field was added: only rows that use it change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest

from pipelines.fields.field import Field
from pipelines.fields.kinds import NUMBER, TEXT, Kind
from pipelines.fields.table import LATER_FIELDS
from pipelines.manifest import row_identity, source_digest
from pipelines.manifest.row_identity import Fingerprints, content_hash
from pipelines.manifest.source_digest import SourceDigests
from tests.pipelines.manifests import CARD, config
from uso_core.request import Parameters


@dataclass(frozen=True)
class Added(Field):
    """A field that this version of `StylizeRequest` does not have."""

    value: Any = None

    @property
    def default(self) -> Any:
        return self.value

    @property
    def is_parameter(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class Later(Parameters):
    tone: float = 0.0
    avoid: str = ""


def added(name: str, kind: Kind, default: object) -> Added:
    return Added(name=name, kind=kind, accepted="any", value=default)


def fingerprint(parameters: Parameters, weights: tuple[float, ...] | None = None) -> str:
    styles = ("a.png",) * len(weights or ())
    return Fingerprints(config("m"), "m").of_row("a fox", None, styles, parameters, weights)


BEFORE = [fingerprint(Parameters(seed=5)), fingerprint(Parameters(), (0.5,))]


@pytest.fixture(autouse=True)
def _two_more_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = (added("avoid", TEXT, ""), added("tone", NUMBER, 0.0))
    monkeypatch.setattr(row_identity, "_LATER_PARAMETERS", fields)
    for module in (row_identity, source_digest):
        monkeypatch.setattr(module, "LATER_FIELDS", (*LATER_FIELDS, *fields))


def test_a_fingerprint_without_the_fields_stays() -> None:
    assert [fingerprint(Later(seed=5)), fingerprint(Later(), (0.5,))] == BEFORE


def test_values_that_are_not_the_default_are_told_apart() -> None:
    tones = [Later(tone=tone, avoid=avoid) for tone in (0.0, 0.5, 1.0) for avoid in ("", "a")]
    texts = ['" with tone 0.5', "x with tone 0.5", "0.5", "é", '"']
    rows = [*tones, *(Later(avoid=text) for text in texts)]
    found = {fingerprint(row, weights) for row in rows for weights in (None, (0.5,))}
    assert len(found) == 2 * len(rows)


def digests(columns: dict[str, Any], theirs: dict[str, str] | None = None) -> list[int]:
    batch = pa.record_batch({name: pa.array(column) for name, column in columns.items()})
    inputs = theirs or {name: name for name in columns}
    return [int(digest) for digest in SourceDigests(config("m"), CARD, inputs).of_batch(batch, "/")]


def test_a_new_column_changes_the_digests_of_rows_with_a_value() -> None:
    before = digests({"prompt": ["a", "b"]})
    after = digests({"prompt": ["a", "b"], "tone": [None, 0.5]})
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False]


def test_values_of_different_fields_have_different_digests() -> None:
    columns = {"prompt": ["a"], "x": [0.5]}
    found = [digests(columns, {"prompt": "prompt", ours: "x"}) for ours in ("tone", "avoid")]
    assert found[0] != found[1]
    both = {"prompt": ["a"], "tone": [0.5], "avoid": ["x"]}
    assert digests(both) not in found


def test_a_content_hash_ignores_the_default() -> None:
    plain = {"prompt": "a fox"}
    assert content_hash({**plain, "tone": 0, "avoid": ""}) == content_hash(plain)
    assert content_hash({**plain, "tone": 0.5}) != content_hash(plain)
    assert content_hash({**plain, "tone": "many"}) != content_hash(plain)
