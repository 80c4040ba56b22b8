#!/bin/sh
# The guess: the folder that Ray Data's write_parquet writes from one dataset is one dataset for
#   pyarrow, too.
# What happens: each block becomes a file with the types of its own values. Where a column has only
#   nulls in a block, such as the error of rows of which none failed, its type in that file is `null`.
#   pyarrow takes the types of the first file, and cannot read the others: whether the folder can be
#   read depends on which block comes first. Ray Data itself reads it.
# Whom it hurts: pipelines that map rows to results with a column `error`, and hand the folder to
#   pyarrow, pandas or datasets: it works in tests, in which the first row fails.
# Exit code: 0 while the libraries behave like this, 1 if that has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check 'ray[data]==2.60.0' pyarrow==26.0.1
RAY_USAGE_STATS_ENABLED=0 "$work/venv/bin/python" - "$work" <<'PYTHON' 2>/dev/null
import logging
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import ray

work = Path(sys.argv[1])
print("ray", ray.__version__, "pyarrow", pa.__version__)
ray.init(num_cpus=1, include_dashboard=False, logging_level=logging.ERROR)
ray.data.DataContext.get_current().enable_progress_bars = False


def with_errors(rows):
    errors = [None if number < 4 else "no answer" for number in rows["n"].to_pylist()]
    return rows.append_column("error", pa.array(errors))


def read(name, numbers):
    """Write one row to each file, and return the types in the files and what pyarrow reads."""
    blocks = [pa.table({"n": [number]}) for number in numbers]
    rows = ray.data.from_arrow(blocks).map_batches(
        with_errors, batch_format="pyarrow", batch_size=1
    )
    rows.write_parquet(str(work / name))
    files = sorted((work / name).glob("*.parquet"))
    types = [str(pq.read_schema(file).field("error").type) for file in files]
    try:
        seen = pq.read_table(work / name)["error"].to_pylist()
    except pa.ArrowException as error:
        seen = f"{type(error).__name__}: {error}"
    print(name, types, seen, sep="\n  ")
    return types, seen


first_good, refused = read("good rows first", [0, 1, 2, 3, 4, 5])
first_failed, values = read("failed rows first", [4, 5, 0, 1, 2, 3])
same = (
    {*first_good} == {*first_failed} == {"null", "string"}
    and "Unsupported cast from string to null" in str(refused)
    and values == ["no answer"] * 2 + [None] * 4
)
sys.exit(0 if same else 1)
PYTHON
