"""References are counted by licence, each once."""

from __future__ import annotations

import pyarrow as pa

from pipelines.ledger.licences import COLUMNS, LicenceTally
from pipelines.record import RECORD_FIELDS

SCHEMA = pa.schema([field for field in RECORD_FIELDS if field.name in COLUMNS])
CC0 = {"licence": "CC0", "wish": None}


def test_a_reference_counts_once_with_what_its_first_record_states() -> None:
    rows = [
        {"content_image": "a", "style_images": ["s"], "reference_rights": [CC0, None]},
        {
            "content_image": "a",
            "style_images": ["t", "s"],
            "reference_rights": [None, {"licence": "MIT", "wish": "noai"}, CC0],
        },
        {
            "content_image": None,
            "style_images": None,
            "reference_rights": None,
            "library_styles": [{"name": "ink", "sha256": "f", "weight": 1.0, "licence": "CC0"}],
        },
    ]
    tally = LicenceTally()
    for row in rows:
        tally.add(pa.RecordBatch.from_pylist([row], SCHEMA))
    assert tally.counts() == {"CC0": 2, "MIT": 1, "unknown": 1}
    assert tally.wishes == 1
