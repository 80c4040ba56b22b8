from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.against.__main__ import Compared, compare
from benchmarks.against.inputs import write_inputs
from benchmarks.against.measures import MEASURES, Measure, Place
from benchmarks.against.trees import HERE, run_in, unpack
from tests.fresh_interpreter import loaded_after


def tree(folder: Path, name: str, work: int) -> Path:
    """Return a tree with a command that works for each row, and writes its output once."""
    (folder / name).mkdir()
    lines = [
        "import pathlib, sys",
        f"for _ in range(int(sys.argv[1]) * {work}): pass",
        "written = pathlib.Path(sys.argv[2]) / 'out/written'",
        "assert not written.exists()",
        "written.touch()",
    ]
    (folder / name / "work.py").write_text("\n".join(lines))
    return folder / name


def test_the_cost_of_a_row_is_compared_without_the_start(tmp_path: Path) -> None:
    trees = (tree(tmp_path, "then", 600), tree(tmp_path, "now", 60))
    make = "import pathlib; pathlib.Path({!r}).mkdir()"
    measure = Measure(
        lambda place: ["work", str(place.rows), str(place.folder)],
        target=10,
        prepare=lambda place: ["-c", make.format(f"{place.folder}/out")],
        changes_output=True,
    )
    inputs = {10: tmp_path, 20_000: tmp_path}
    found = compare(measure, trees, inputs, tmp_path / "measured", rounds=2)
    assert found.ratio > 3
    assert found.line("work", 10).startswith("| work | ")


def test_bytes_are_those_of_the_rows(tmp_path: Path) -> None:
    trees = (writing_tree(tmp_path, "then", 90), writing_tree(tmp_path, "now", 10))
    measure = Measure(
        lambda place: ["work", str(place.rows), str(place.folder)],
        target=1,
        prepare=lambda place: ["-c", "pass"],
        makes="made",
        bytes_target=8,
    )
    inputs = {10: tmp_path, 1000: tmp_path}
    found = compare(measure, trees, inputs, tmp_path / "measured", rounds=1)
    assert list(found.row_bytes) == [90, 10]
    cheap = replace(found, row_us=(1, 1))
    more = replace(cheap, row_bytes=(30, 10))
    assert [cheap.is_slow(measure), more.is_slow(measure)] == [False, True]


def writing_tree(folder: Path, name: str, size: int) -> Path:
    """Return a tree with a command that writes 500 bytes, and some for each row."""
    (folder / name).mkdir()
    lines = [
        "import pathlib, sys",
        "made = pathlib.Path(sys.argv[2]) / 'made/inner'",
        "made.mkdir(parents=True)",
        f"(made / 'file').write_bytes(bytes(500 + {size} * int(sys.argv[1])))",
    ]
    (folder / name / "work.py").write_text("\n".join(lines))
    return folder / name


def test_a_command_may_tell_its_cost_and_take_fewer_rows(tmp_path: Path) -> None:
    (tmp_path / "tell.py").write_text("import sys\nprint('{\"driver_cpu_ms_per_row\": 0.25}')")
    measure = Measure(
        lambda place: ["tell", str(place.rows)],
        target=1,
        own_cpu_s=MEASURES["driver with Ray"].own_cpu_s,
        most_rows=300,
    )
    inputs = {100: tmp_path, 20_000: tmp_path}
    found = compare(measure, (tmp_path, tmp_path), inputs, tmp_path / "measured", rounds=1)
    assert found.row_us == pytest.approx((250, 250))


def test_the_process_that_measures_is_small() -> None:
    assert {"numpy", "pyarrow"}.isdisjoint(loaded_after("import benchmarks.against.__main__"))


def test_a_ratio_needs_no_cost_at_all() -> None:
    free = Compared((10.0, 0.0), (1, 1), (1, 1))
    assert free.ratio > 1000
    assert "| > 100 | 5 |" in free.line("work", 5)


def test_a_revision_that_is_not_there_and_a_command_that_fails_are_told_of(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="whole history"):
        unpack("0" * 40, tmp_path / "revision")
    with pytest.raises(RuntimeError, match="no such thing"):
        run_in(HERE, ["-c", "raise SystemExit('no such thing')"])


def test_each_measure_has_its_inputs_and_arguments(tmp_path: Path) -> None:
    write_inputs(tmp_path / "in", 300)
    assert pq.read_metadata(tmp_path / "in/rows.parquet").num_rows == 300
    place = Place(tmp_path, tmp_path / "in", 300)
    for measure in MEASURES.values():
        assert all("{" not in argument for argument in measure.arguments(place))
