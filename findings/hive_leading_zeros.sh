#!/bin/sh
# The guess: readers of Hive folders agree about the values in the names of folders.
# What happens: they do not. For `code=007/` and `code=1/`, PyArrow infers integers and reads 7 and
#   1; DuckDB keeps the text 007 and 1. For 99999999999, PyArrow reads text, because it infers
#   32-bit integers only; DuckDB reads an integer. Dates are text in PyArrow and dates in DuckDB.
#   For a single file, PyArrow reads no column from its path; DuckDB does.
# Whom it hurts: everyone who partitions by a code with leading zeros, such as a product number or a
#   postcode, and joins what two readers return.
# Exit code: 0 while the libraries behave like this, 1 if one has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check duckdb==2.0.0 pyarrow==26.0.1
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq


def read(name, values):
    """Return the column as PyArrow and as DuckDB read it."""
    for value in values:
        folder = Path(name, f"code={value}")
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"x": [1]}), folder / "a.parquet")
    table = ds.dataset(name, partitioning="hive").to_table()
    query = f"SELECT code, typeof(code) FROM '{name}/*/a.parquet' ORDER BY code"
    rows = duckdb.sql(query).fetchall()
    return sorted(table["code"].to_pylist()), [f"{code} {kind}" for code, kind in rows]


found = {
    "007 and 1": read("zeros", ["007", "1"]),
    "99999999999": read("large", ["99999999999"]),
    "2026-01-02": read("dates", ["2026-01-02"]),
}
columns = pq.read_table("zeros/code=1/a.parquet").column_names
print(f"pyarrow {pa.__version__}, duckdb {duckdb.__version__}")
for case, (arrow, duck) in found.items():
    print(f"  {case}: PyArrow {arrow}, DuckDB {duck}")
print(f"  one file alone: PyArrow has the columns {columns}")
expected = {
    "007 and 1": ([1, 7], ["007 VARCHAR", "1 VARCHAR"]),
    "99999999999": (["99999999999"], ["99999999999 BIGINT"]),
    "2026-01-02": (["2026-01-02"], ["2026-01-02 DATE"]),
}
sys.exit(found != expected or columns != ["x"])
PYTHON
