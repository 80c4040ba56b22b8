"""References are counted by licence."""

from __future__ import annotations

from itertools import permutations

import pyarrow as pa
import pytest

from pipelines.ledger.licences import COLUMNS, LicenceTally
from pipelines.record import RECORD_FIELDS

SCHEMA = pa.schema([field for field in RECORD_FIELDS if field.name in COLUMNS])
CC0 = {"licence": "CC0", "wish": None}


ROWS = [
    {"content_image": "a", "style_images": ["s"], "reference_rights": [CC0, None]},
    {
        "content_image": "a",
        "style_images": ["t", "s", "u"],
        "reference_rights": [None, {"licence": "MIT", "wish": "noai"}, CC0, None],
    },
    {
        "content_image": "t",
        "style_images": None,
        "reference_rights": [{"licence": "GPL", "wish": None}],
    },
    {
        "content_image": None,
        "style_images": None,
        "reference_rights": None,
        "library_styles": [{"name": "ink", "sha256": "f", "weight": 1.0, "licence": "CC0"}],
    },
]


@pytest.mark.parametrize("order", list(permutations(range(len(ROWS)))))
def test_references_count_once_for_each_licence_in_any_order(order: tuple[int, ...]) -> None:
    tally = LicenceTally()
    for place in order:
        tally.add(pa.RecordBatch.from_pylist([ROWS[place]], SCHEMA))
    assert tally.counts() == {"CC0": 3, "GPL": 1, "MIT": 1, "unknown": 1}
    assert (tally.references, tally.wishes) == (5, 1)
