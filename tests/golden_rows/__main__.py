"""Write the rows and the golden file: `python -m tests.golden_rows`."""

from __future__ import annotations

from tests.golden_rows.cases import FOLDER, GOLDEN, LINES, TABLES, file_bytes
from tests.golden_rows.facts import all_facts, as_text


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in (*TABLES, *LINES):
        (FOLDER / name).write_bytes(file_bytes(name))
    GOLDEN.write_text(as_text(all_facts()), encoding="utf-8")


main()
