"""Outputs with scores, without a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.image_values import record_column
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.score_facts import PATH, ScoreFacts
from pipelines.record import SCORES, record_schema
from pipelines.storage.storage import Storage
from tests.pipelines.tools.report.outputs import EXTRA, failed, generated

FACTS = {
    "style": ("Style", "higher"),
    "palette": ("Palette <b>distance</b>", "lower"),
    "colour": ("Colour", "neither"),
}


def write_output(
    folder: Path,
    rows: Mapping[str, Mapping[str, float | None] | None],
    *,
    identity: str = "1",
    **columns: Any,
) -> Storage:
    """Write an output whose rows have these scores; None: the row failed."""
    output = Storage.at(str(folder))
    names = list(FACTS)
    column = record_column(pa.field(SCORES, pa.struct([(name, pa.float64()) for name in names])))
    records = []
    for at, (row_id, scores) in enumerate(rows.items()):
        if scores is None:
            records.append({**failed(row_id, **columns), SCORES: None})
            continue
        made = generated(output, row_id, seed=at, **columns)
        records.append({**made, SCORES: [{name: scores.get(name) for name in names}]})
    Ledger.open(output, record_schema(EXTRA, pa.schema([column]))).append(records)
    facts = {
        name: asdict(
            ScoreFacts(
                name=name,
                title=title,
                meaning="for tests",
                better=better,  # type: ignore[arg-type]
                low=None,
                high=None,
                identity=identity,
            )
        )
        for name, (title, better) in FACTS.items()
    }
    output.write(PATH, json.dumps(facts).encode())
    return output
