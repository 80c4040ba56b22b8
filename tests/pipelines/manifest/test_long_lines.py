from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import ManifestError
from tests.peak_memory import peaks
from tests.pipelines.manifests import entries, opened, rejected, valid

_LIMIT: dict[str, Any] = {"max_row_mb": 0.01}


def json_lines(prompts: list[str]) -> str:
    return "".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts)


def csv_lines(prompts: list[str]) -> str:
    return "prompt,note\n" + "".join(f'"{prompt}",x\n' for prompt in prompts)


@pytest.mark.parametrize(("name", "written"), [("m.jsonl", json_lines), ("m.csv", csv_lines)])
def test_a_long_line_is_rejected_alone(
    tmp_path: Path, name: str, written: Callable[[list[str]], str]
) -> None:
    path = tmp_path / name
    path.write_text(written(["a", "x" * 9000, "y" * 10_001, "b"]), encoding="utf-8")
    found = entries(path, manifest=_LIMIT)
    assert [valid(found[place]).prompt for place in (0, 1, 3)] == ["a", "x" * 9000, "b"]
    line = 4 if name == "m.csv" else 3
    message = f"{path} line {line}: takes more than manifest.max_row_mb, 0.01 MB"
    assert rejected(found[2]).failure.message == message


def test_a_row_of_many_lines_in_quotes_is_rejected_and_the_next_is_read(tmp_path: Path) -> None:
    text = "prompt\n" + '"' + "line\n" * 3000 + '"\nb\n'
    (tmp_path / "m.csv").write_text(text)
    found = entries(tmp_path / "m.csv", manifest=_LIMIT)
    assert "takes more than manifest.max_row_mb" in rejected(found[0]).failure.message
    assert valid(found[-1]).prompt == "b"


def test_a_first_line_over_the_limit_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("x" * 20_000)
    with pytest.raises(ManifestError, match=r"first line takes more than manifest\.max_row_mb"):
        opened(tmp_path / "m.csv", manifest=_LIMIT)


def test_values_that_are_nested_deeply_are_kept_as_text(tmp_path: Path) -> None:
    deep: Any = "x"
    for _ in range(60):
        deep = [deep]
    (tmp_path / "m.jsonl").write_text(json.dumps({"prompt": "a", "deep": deep, "flat": [[1]]}))
    (entry,) = entries(tmp_path / "m.jsonl")
    assert json.loads(entry.extra["deep"]) == deep
    assert entry.extra["flat"] == [[1]]


@pytest.mark.parametrize(
    ("column", "value", "accepted"),
    [
        ("style_images", "[" + '"a",' * 10_001 + '"a"]', "a JSON list of at most 10,000 items"),
        ("style_images", ["a"] * 10_001, "at most 4 styles in all"),
        ("style_weights", ["1"] * 10_001, "one number for each style, 0 in all"),
        ("width", "1" * 1_000_000, "an integer"),
        ("id", "1" * 1_000_000, "text of 1 to 256 characters, or an integer"),
        ("content_image", "a" * 20_000 + "\0", "a URI or path without NUL characters"),
    ],
)
def test_huge_cells_are_rejected_with_a_short_message(
    tmp_path: Path, column: str, value: object, accepted: str
) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps({"prompt": "a", column: value}) + '\n{"prompt": "b"}\n')
    first, second = entries(path)
    message = rejected(first).failure.message
    assert message.endswith(f"is not accepted; give {accepted}")
    assert len(message) < 400
    assert valid(second).prompt == "b"


def _read(name: str, line: bytes) -> None:
    path = Path(f"/tmp/uso-long-line-{name}")
    try:
        with path.open("wb") as file:
            file.write(b"prompt\n" if name.endswith("csv") else b'{"prompt": "a"}\n')
            for _ in range(6):
                file.write(line)
        assert len(entries(path, manifest={"max_row_mb": 1})) >= 1
    finally:
        path.unlink()


def json_line() -> None:
    _read("m.jsonl", b"[" * 2_000_000)


def csv_line() -> None:
    _read("m.csv", b"ab," * 600_000)


def test_a_file_without_line_breaks_takes_little_memory() -> None:
    found = peaks(__name__, ["json_line", "csv_line"])
    assert max(found.values()) < 60, found
