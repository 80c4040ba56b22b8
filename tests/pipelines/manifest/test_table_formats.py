"""A table format is one entry, and everything that reads tables can read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from pipelines.config.inputs import ManifestConfig
from pipelines.manifest.arrow_batch import ArrowBatch
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.files import open_tables
from pipelines.manifest.source import ManifestFile
from pipelines.manifest.table_formats import FORMATS, TableFormat
from pipelines.tools.compose.score_table import ScoreTable
from pipelines.tools.compose.table import table_rows
from tests.pipelines.manifests import config, entries, opened, valid, write

PLAN = ColumnPlan({"prompt": "prompt"}, pa.schema([("own", pa.string())]), ("own",))


@dataclass(frozen=True)
class FeatherTable:
    file: ManifestFile
    table: pa.Table
    typed: bool = True

    @classmethod
    def open(cls, file: ManifestFile) -> FeatherTable:
        with file.data.open_all() as source:
            return cls(file, feather.read_table(source))

    @property
    def uri(self) -> str:
        return self.file.uri

    @property
    def schema(self) -> pa.Schema:
        return self.table.schema

    @property
    def num_rows(self) -> int:
        return int(self.table.num_rows)

    @property
    def groups(self) -> tuple[int, ...]:
        return ()

    def batches(
        self, plan: ColumnPlan, *, most_rows: int | None = None, groups: range | None = None
    ) -> Iterator[ArrowBatch]:
        for batch in self.table.to_batches():
            yield ArrowBatch(self.uri, batch, plan)


def test_the_formats_are_those_of_the_configuration() -> None:
    accepted = get_args(ManifestConfig.model_fields["format"].annotation)
    assert set(accepted) == {"auto", *FORMATS}


def test_formats_mix(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("prompt,label\na,1\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"prompt": "b", "label": "2"}\n', encoding="utf-8")
    manifest = opened([str(tmp_path / "a.csv"), str(tmp_path / "b.jsonl")])
    assert manifest.total_rows is None
    assert [entry.extra["label"] for entry in manifest.entries()] == ["1", "2"]


def test_another_format_is_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "feather", TableFormat((".feather",), FeatherTable.open))
    path = tmp_path / "m.feather"
    feather.write_feather(pa.table({"id": ["a", "b"], "prompt": ["x", "y"], "score": [1, 2]}), path)
    for place in (path, tmp_path):
        found = entries(place)
        assert [valid(entry).prompt for entry in found] == ["x", "y"]
        assert [entry.extra for entry in found] == [{"score": 1}, {"score": 2}]
        (batch,) = table_rows(config(place)).batches
        assert batch.column("id").to_pylist() == ["a", "b"]
        assert ScoreTable(str(place), "score", {}).of(["b", "a"]).tolist() == [2, 1]


@pytest.mark.parametrize("name", ["m.parquet", "m.jsonl", "m.csv"])
def test_batches_are_cut_and_filtered(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "m.parquet":
        write(path, {"prompt": ["a", "b", "c"], "own": ["1", "2", "3"]})
    elif name == "m.csv":
        path.write_text("prompt,own\na,1\nb,2\nc,3\n")
    else:
        lines = [
            f'{{"prompt": "{prompt}", "own": "{own}"}}'
            for prompt, own in zip("abc", "123", strict=True)
        ]
        path.write_text("\n".join(lines))
    (table,) = open_tables(config(path).manifest, {})
    assert table.schema.names == ["prompt", "own"]
    assert table.typed == (name != "m.csv")
    (batch,) = table.batches(PLAN)
    want = [({"prompt": prompt}, {"own": own}) for prompt, own in zip("abc", "123", strict=True)]
    assert (len(batch), batch.rows()) == (3, want)
    assert batch.head(2).rows() == want[:2]
    assert len(batch.head(9)) == 3
    kept = batch.where(np.array([True, False, True]))
    assert (len(kept), kept.rows()) == (2, [want[0], want[2]])
