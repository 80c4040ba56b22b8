#!/bin/sh
# The guess: DuckDB reads every value of a JSON lines file, or says which one does not fit the type
#   that it took from the first 20,480 lines. (It does say so for a text after numbers.)
# What happens: a fraction after whole numbers is rounded, 0.9 to 1 and 0.4 to 0, and a text after
#   nulls is null, both without an error. A count of the rows with an error is then 0.
# Whom it hurts: whoever looks through a log of outcomes with one `error` in a thousand rows, or whose
#   first scores are whole numbers. The remedy is `sample_size=-1`, or `columns={…}`.
# Exit code: 0 while DuckDB behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check duckdb==2.0.1
"$work/venv/bin/python" - "$work" <<'PYTHON'
import json
import sys

import duckdb

print("DuckDB", duckdb.__version__)
path = f"{sys.argv[1]}/rows.jsonl"
ORDINARY, LATE = 30_000, 3


def late_values(name, first, late, options=""):
    """Write `first` in most lines and `late` in the last ones; return the last ones as read."""
    with open(path, "w") as file:
        for number in range(ORDINARY + LATE):
            file.write(json.dumps({"n": number, "value": first if number < ORDINARY else late}) + "\n")
    rows = f"read_json('{path}', format='newline_delimited'{options})"
    try:
        found = duckdb.sql(f"select value from {rows} where n >= {ORDINARY}").fetchall()
        values = [value for (value,) in found]
    except duckdb.Error as error:
        values = type(error).__name__
    print(f"{name:32} written {late!r}, read {values}")
    return values


high = late_values("0.9 after whole numbers", 1, 0.9)
low = late_values("0.4 after whole numbers", 1, 0.4)
text = late_values("a text after nulls", None, "not found")
refused = late_values("a text after whole numbers", 1, "not found")
all_lines = late_values("a text after nulls, all sampled", None, "not found", ", sample_size=-1")
same = (high, low, text) == ([1] * LATE, [0] * LATE, [None] * LATE)
same = same and refused == "InvalidInputException" and all_lines == ["not found"] * LATE
sys.exit(0 if same else 1)
PYTHON
