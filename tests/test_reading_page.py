"""The snippets of docs/reading.md run unchanged on a real output."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.packing.pack import pack
from pipelines.storage.storage import Storage
from tests.pipelines.packing.outputs import LAYOUTS, generated, request
from tests.pipelines.tools.report.outputs import commit, failed

PAGE = (Path(__file__).parent.parent / "docs" / "reading.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```(python|sql)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

# One process for all, because importing the readers takes most of the time.
RUNNER = """
import contextlib, io, json, sys
import duckdb

results = []
for language, code in json.load(sys.stdin):
    said = io.StringIO()
    if language == "sql":
        said.write(str(duckdb.sql(code)))
    else:
        with contextlib.redirect_stdout(said):
            exec(compile(code, "reading.md", "exec"), {"__name__": "snippet"})
    results.append(said.getvalue())
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what each snippet printed or found."""
    folder = tmp_path_factory.mktemp("reading")
    output = Storage.at(str(folder / "out"))
    rows = [generated(output, f"row-{n}", seed=n) for n in range(4)]
    commit(output, *rows, failed("bad"), failed("worse", "image_corrupt"))
    for layout in LAYOUTS:
        pack(request(output, Storage.at(str(folder / "out" / layout)), layout, shard_images=2))
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(SNIPPETS),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    results: list[str] = json.loads(done.stdout)
    return results


@pytest.mark.parametrize("number", range(len(SNIPPETS)), ids=lambda n: f"snippet-{n}")
def test_snippet(said: list[str], number: int) -> None:
    code = SNIPPETS[number][1]
    about_failures = "error" in code
    expected = r"uri_timeout" if about_failures else r"row-\d|\(24, 16\)|seed"
    assert re.search(expected, said[number]), (code, said[number])


def test_every_reader_has_a_snippet() -> None:
    code = "".join(code for _, code in SNIPPETS)
    readers = ("import pandas", "pyarrow.dataset", "load_dataset", "webdataset.WebDataset")
    assert [reader for reader in readers if reader not in code] == []
    assert sum(language == "sql" for language, _ in SNIPPETS) >= 3
