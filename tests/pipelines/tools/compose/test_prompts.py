from __future__ import annotations

import secrets
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ComposeError, ManifestError
from pipelines.tools.compose.prompts import read_prompts

FILES = {
    "p.txt": 'a "red" cat, sitting\n\na dog\n',
    "p.csv": 'id,prompt\n1,"a ""red"" cat, sitting"\n2,\n3,a dog\n',
    "one.csv": 'prompt\n"a ""red"" cat, sitting"\n""\na dog\n',
    "p.tsv": 'n\tprompt\n1\ta "red" cat, sitting\n2\t\n3\ta dog\n',
    "semi.CSV": 'prompt;n\na "red" cat, sitting;1\n;2\na dog;3\n',
    "excel.csv": 'sep=;\nprompt;n\na "red" cat, sitting;1\n;2\na dog;3\n',
    "p.jsonl": '{"prompt": "a \\"red\\" cat, sitting"}\n{"n": 1}\n{"prompt": "a dog"}\n',
}
PROMPTS = ['a "red" cat, sitting', "", "a dog"]


@pytest.mark.parametrize("name", FILES)
def test_the_same_prompts_from_every_file(tmp_path: Path, name: str) -> None:
    for root in (str(tmp_path), f"memory://{secrets.token_hex(4)}"):
        with fsspec.open(f"{root}/{name}", "wb") as file:
            file.write(b"\xef\xbb\xbf" + FILES[name].encode())
        assert read_prompts(f"{root}/{name}", {}, {}) == PROMPTS


def test_prompts_of_parquet_and_of_another_column(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"caption": ["a cat", None, "a dog"], "prompt": [1, 2, 3]}), path)
    assert read_prompts(str(path), {"prompt": "caption"}, {}) == ["a cat", "", "a dog"]
    with pytest.raises(ComposeError, match="prompt"):
        read_prompts(str(path), {}, {})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.csv", "a cat\na dog\n", r"no column 'prompt'; its columns are a cat; .*\.txt file"),
        ("p.csv", "Prompt,n\na cat,1\n", "its columns are Prompt, n; name yours with --column"),
        ("p.csv", "prompt\na, b\n", "line 2: has 2 cells, but the header has 1; correct this line"),
        ("p.csv", "prompt,n\n,1\n", "contains no prompt; for an empty prompt, give --prompt ''"),
        ("p.txt", "\n", "contains no prompt"),
    ],
)
def test_files_without_prompts(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ComposeError, match=message):
        read_prompts(str(tmp_path / name), {}, {})


def test_a_missing_file_a_folder_and_other_encodings(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.txt: does not exist"):
        read_prompts(f"{tmp_path}/none.txt", {}, {})
    with pytest.raises(ComposeError, match="is a folder"):
        read_prompts(str(tmp_path), {}, {})
    (tmp_path / "p.txt").write_text("größe", encoding="utf-16")
    with pytest.raises(ComposeError, match="cannot be read as UTF-8"):
        read_prompts(f"{tmp_path}/p.txt", {}, {})
