"""A check that was interrupted, and one that was not, find the same."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.config.inputs import FetchConfig
from pipelines.manifest.manifest import Manifest
from pipelines.storage.storage import Storage
from pipelines.tools.problems import Problem
from pipelines.tools.validation.check import CheckSpec, Placed, check_here
from pipelines.tools.validation.checked import Checked, CheckedParts
from pipelines.tools.validation.conclude import Facts
from pipelines.tools.validation.references import check_references
from pipelines.tools.validation.uses import AllReferences
from tests.pipelines.manifests import CARD, opened, write
from tests.pipelines.pictures import encode, picture

SPEC = CheckSpec(FetchConfig(), {}, CARD.limits)


class KilledError(Exception):
    """Stands for a kill."""


class Counting:
    """Checks references, counts them, and is interrupted after some."""

    def __init__(self, most: int | None = None) -> None:
        self.checked = 0
        self._most = most

    def __call__(
        self, uses: Iterator[Placed], spec: CheckSpec
    ) -> Generator[Sequence[Checked], None, None]:
        for results in check_here(uses, spec):
            if self.checked == self._most:
                raise KilledError
            self.checked += len(results)
            yield results


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Forty references: good ones, the same file twice, a missing and a damaged one."""
    for n in range(36):
        (tmp_path / f"{n}.png").write_bytes(encode(picture(16 + n % 30 % 9, 16, seed=n % 30)))
    (tmp_path / "cut.png").write_bytes(encode(picture())[:90])
    (tmp_path / "profile.png").write_bytes(encode(picture(seed=77), icc_profile=b"none"))
    names = [f"{n}.png" for n in range(36)] + ["none.png", "cut.png", "profile.png", "3.png"]
    columns = {"id": [f"row-{n}" for n in range(40)], "content_image": names}
    return opened(write(tmp_path / "m.parquet", columns))


def run(
    manifest: Manifest, parts: CheckedParts, checks: Counting, spec: CheckSpec = SPEC
) -> tuple[list[Problem], Facts]:
    wanted = AllReferences(manifest)
    conclusion = check_references(wanted, checks, spec, parts, lambda _: None)
    return list(conclusion.problems(wanted.rows)), conclusion.facts


def parts_in(folder: Path, spec: CheckSpec = SPEC) -> CheckedParts:
    return CheckedParts(Storage.at(str(folder)), "p.checked", spec.context)


@pytest.mark.parametrize("done", [0, 1, 17, 38])
def test_a_resumed_check_finds_the_same(tmp_path: Path, manifest: Manifest, done: int) -> None:
    whole = run(manifest, parts_in(tmp_path / "whole"), Counting())
    with pytest.raises(KilledError):
        run(manifest, parts_in(tmp_path / "parts"), Counting(done))
    parts, rest = parts_in(tmp_path / "parts"), Counting()
    assert run(manifest, parts, rest) == whole
    assert [problem.kind for problem in whole[0]].count("duplicate_image") == 6
    failed_before = max(0, done - 36)  # the missing and the damaged file come late
    assert rest.checked == 39 - done + failed_before
    assert parts.num_recorded == done - failed_before


def test_a_check_may_be_interrupted_twice(tmp_path: Path, manifest: Manifest) -> None:
    for _ in range(3):
        with pytest.raises(KilledError):
            run(manifest, parts_in(tmp_path), Counting(10))
    rest = Counting()
    assert len(run(manifest, parts_in(tmp_path), rest)[0]) == 9
    assert rest.checked == 9


def test_what_failed_is_checked_again(tmp_path: Path, manifest: Manifest) -> None:
    before, _ = run(manifest, parts_in(tmp_path / "parts"), Counting())
    (tmp_path / "none.png").write_bytes(encode(picture(seed=99)))
    again = Counting()
    after, _ = run(manifest, parts_in(tmp_path / "parts"), again)
    assert again.checked == 2
    gone = [problem for problem in before if problem not in after]
    assert [problem.kind for problem in gone] == ["uri_not_found"]


def changed_limit(spec: CheckSpec) -> CheckSpec:
    return replace(spec, config=FetchConfig(max_megapixels=50))


def changed_model(spec: CheckSpec) -> CheckSpec:
    return replace(spec, limits=replace(spec.limits, max_size=512))


@pytest.mark.parametrize("changed", [changed_limit, changed_model])
def test_results_under_other_settings_do_not_count(
    tmp_path: Path, manifest: Manifest, changed: Callable[[CheckSpec], CheckSpec]
) -> None:
    run(manifest, parts_in(tmp_path / "parts"), Counting())
    again, spec = Counting(), changed(SPEC)
    run(manifest, parts_in(tmp_path / "parts", spec), again, spec)
    assert again.checked == 39


def test_a_row_that_changed_is_checked_again(tmp_path: Path, manifest: Manifest) -> None:
    run(manifest, parts_in(tmp_path / "parts"), Counting())
    names = [f"{n}.png" for n in range(5)]
    sizes = [256, 256, 128, 256, 256]
    columns = {"id": [f"row-{n}" for n in range(5)], "content_image": names}
    before = opened(write(tmp_path / "n.parquet", columns | {"content_long_size": [256] * 5}))
    after = opened(write(tmp_path / "o.parquet", columns | {"content_long_size": sizes}))
    run(before, parts_in(tmp_path / "parts"), Counting())
    again = Counting()
    run(after, parts_in(tmp_path / "parts"), again)
    assert again.checked == 1


def test_parts_are_written_by_time_and_by_number(tmp_path: Path) -> None:
    now = [0.0]
    storage = Storage.at(str(tmp_path))
    parts = CheckedParts(storage, "p", "c", lambda: now[0])
    result = Checked(0, b"m" * 16, b"k" * 16, "content_image", "1", "/a.png")
    parts.add([result])
    assert storage.list("p") == []
    now[0] = 31
    parts.add([result])
    assert len(storage.list("p")) == 1
    parts.add([result] * 20_000)
    assert len(storage.list("p")) == 2
    assert sum(map(len, parts.tables())) == 20_002
    parts.remove()
    assert not (tmp_path / "p").exists()
