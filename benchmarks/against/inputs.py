"""Writes the manifests that both trees read: `python -m benchmarks.against.inputs FOLDER ROWS`."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import yaml

from benchmarks.ledger import manifest_rows, ranges

_STYLES = 100


def write_inputs(folder: Path, rows: int) -> None:
    """Write the manifests that both trees read."""
    folder.mkdir(parents=True)
    schema = manifest_rows(0, 1).schema
    with (
        pq.ParquetWriter(folder / "rows.parquet", schema) as parquet,
        pa_csv.CSVWriter(folder / "rows.csv", schema) as text,
    ):
        for start, stop in ranges(0, rows):
            parquet.write_batch(manifest_rows(start, stop))
            text.write_batch(manifest_rows(start, stop))
    prompts = [f"a picture of thing {n}" for n in range(rows // _STYLES)]
    (folder / "prompts.txt").write_text("\n".join(prompts))
    (folder / "styles").mkdir()
    for n in range(_STYLES):
        (folder / f"styles/{n}.png").touch()
    config = {
        "manifest": {"path": str(folder / "rows.parquet")},
        "output": {"path": str(folder / "none")},
        "model": {"base": "tiny"},
        "stylize": {"actors": 2, "gpus_per_actor": 0, "cpus_per_actor": 1},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(config))


if __name__ == "__main__":
    write_inputs(Path(sys.argv[1]), int(sys.argv[2]))
