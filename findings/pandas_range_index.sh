#!/bin/sh
# The guess: a Parquet file that pandas wrote after frame.set_index("id") has a column `id`.
# What happens: that depends on the values. pandas makes ids at equal distances, such as 1, 2, 3, a
#   RangeIndex, and writes a RangeIndex into the file's metadata alone. Readers of Parquet, such as
#   DuckDB and PyArrow's tables, then have no column `id`; with 1, 2, 4 they have it.
# Whom it hurts: everyone who passes a table from pandas to another tool and looks rows up by id. The
#   ids are gone without a warning, and only for some tables.
# Exit code: 0 while the libraries behave like this, 1 if they have changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
  pandas==3.1.1 pyarrow==26.0.1 duckdb==2.0.0
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

print(f"pandas {pd.__version__}, pyarrow {pa.__version__}, duckdb {duckdb.__version__}")
found = []
for ids in ([1, 2, 3], [1, 2, 4]):
    frame = pd.DataFrame({"id": ids, "prompt": ["a", "b", "c"]}).set_index("id")
    frame.to_parquet("table.parquet")
    columns = duckdb.sql("FROM 'table.parquet'").columns
    same = pq.read_table("table.parquet").column_names == columns
    again = pd.read_parquet("table.parquet").index.tolist() == ids
    print(f"  ids {ids}: {type(frame.index).__name__}; columns for DuckDB: {columns}")
    print(f"    the same for PyArrow: {same}; pandas reads the ids again: {again}")
    found.append((sorted(columns), same, again))
sys.exit(found != [(["prompt"], True, True), (["id", "prompt"], True, True)])
PYTHON
