from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipelines.config.inputs import FetchConfig
from pipelines.manifest.manifest import Manifest
from pipelines.storage.filesystems import Options
from pipelines.storage.storage import Storage
from pipelines.tools.problems import Findings, Problem
from pipelines.tools.validation.check import CheckSpec, check_here
from pipelines.tools.validation.checked import CheckedParts
from pipelines.tools.validation.conclude import Facts
from pipelines.tools.validation.references import check_references
from pipelines.tools.validation.row_check import check_rows
from pipelines.tools.validation.uses import AllReferences, SampledReferences
from tests import small_hub
from tests.pipelines import http_origin
from tests.pipelines.manifests import CARD, opened, write
from tests.pipelines.pictures import encode, picture


def manifest_of(folder: Path, **columns: Any) -> Manifest:
    return opened(write(folder / "m.parquet", columns))


def check(
    manifest: Manifest,
    most: int | None = None,
    options: Options | None = None,
    parts: CheckedParts | None = None,
    **fetch: Any,
) -> tuple[list[Problem], Facts]:
    wanted = AllReferences(manifest) if most is None else SampledReferences(manifest, most)
    spec = CheckSpec(FetchConfig(**fetch), options or {}, CARD.limits)
    with TemporaryDirectory() as folder:
        kept = parts or CheckedParts(Storage.at(folder), "checked", spec.context)
        conclusion = check_references(wanted, check_here, spec, kept, lambda _: None)
    return list(conclusion.problems(wanted.rows)), conclusion.facts


def test_each_distinct_image_is_fetched_once(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(picture(64, 48)))
    (tmp_path / "s.png").write_bytes(encode(picture(32, 32, seed=1)))
    manifest = manifest_of(
        tmp_path, content_image=["a.png"] * 3, style_images=[["s.png"], ["s.png", "s.png"], []]
    )
    counted = check_rows(manifest, Findings(), lambda _: None)
    assert counted.references == 2
    problems, facts = check(manifest)
    assert problems == []
    assert facts.images == 2
    assert (facts.smallest, facts.largest) == ((32, 32), (64, 48))


def test_an_unusable_reference_is_reported_with_all_its_rows(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(encode(picture())[:100])
    (tmp_path / "text.png").write_bytes(b"hello")
    manifest = manifest_of(
        tmp_path,
        id=["1", "2", "3", "4"],
        content_image=["none.png", "none.png", "broken.png", None],
        style_images=[[], [], [], ["text.png"]],
    )
    problems, _ = check(manifest)
    assert [(p.kind, p.column, p.row_id, p.rows) for p in problems] == [
        ("uri_not_found", "content_image", "1", 2),
        ("image_corrupt", "content_image", "3", 1),
        ("image_unsupported", "style_images", "4", 1),
    ]
    assert problems[0].uri == f"{tmp_path}/none.png"


def test_the_runs_own_limits_count(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(picture(64, 48)))
    manifest = manifest_of(tmp_path, content_image=["a.png"])
    assert check(manifest, max_megapixels=0.001)[0][0].kind == "image_too_large"
    assert check(manifest, allow_local_files=False)[0][0].kind == "uri_refused"


def test_a_content_image_that_is_too_narrow_is_reported(tmp_path: Path) -> None:
    (tmp_path / "thin.png").write_bytes(encode(picture(400, 8)))
    manifest = manifest_of(tmp_path, id=["1"], content_image=["thin.png"], content_long_size=[256])
    (problem,), _ = check(manifest)
    assert (problem.kind, problem.column) == ("invalid_request", "content_image")
    assert "shorter side" in problem.message


def test_a_content_image_that_is_left_out_is_not_fetched(tmp_path: Path) -> None:
    manifest = manifest_of(
        tmp_path, prompt=["a"], content_image=["none.png"], content_long_size=[0]
    )
    assert check(manifest)[0] == []


def test_the_same_file_twice_is_a_note(tmp_path: Path) -> None:
    data = encode(picture())
    for name in ("a.png", "copy.png"):
        (tmp_path / name).write_bytes(data)
    manifest = manifest_of(tmp_path, id=["1", "2"], content_image=["a.png", "copy.png"])
    (problem,), _ = check(manifest)
    assert (problem.kind, problem.severity, problem.row_id) == ("duplicate_image", "note", "2")
    assert "a.png" in problem.message


def test_a_wish_is_a_note_or_a_problem_as_the_policy_says(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(encode(picture(seed=ord(name))))
    (tmp_path / "a.png.license").write_text("noai")
    # The second row states a wish of its own about the same image.
    manifest = manifest_of(tmp_path, content_image=["a.png", "b.png", "b.png"], noai=[0, 0, 1])
    wished = {"a.png": "noai in a.png.license", "b.png": "column noai"}
    for policy, kind, severity in (("record", "wish", "note"), ("honour", "uri_refused", "error")):
        problems, _ = check(manifest, wishes=policy)
        found = {Path(problem.uri or "").name: problem.message for problem in problems}
        assert {(problem.kind, problem.severity) for problem in problems} == {(kind, severity)}
        assert found.keys() == wished.keys()
        for name, mark in wished.items():
            assert f"does not want it used for AI ({mark})" in found[name]
    assert check(manifest, wishes="ignore")[0] == []


def test_a_colour_profile_of_no_use_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(picture(), icc_profile=b"no profile"))
    manifest = manifest_of(tmp_path, id=["1"], content_image=["a.png"])
    (problem,), facts = check(manifest)
    assert (problem.kind, problem.severity, problem.row_id) == ("colour_profile", "note", "1")
    assert "taken as sRGB" in problem.message
    assert facts.images == 1
    assert check(manifest, colour="original")[0] == []


def test_a_sample_is_the_same_each_time(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, content_image=[f"none-{n}.png" for n in range(30)])
    first, _ = check(manifest, most=5)
    again, _ = check(manifest, most=5)
    assert len(first) == 5
    assert first == again


def test_rejected_rows_are_reported_by_column(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, id=["1", "1", "3"], prompt=["a"] * 3, width=[512, 512, 5])
    found = Findings()
    rows = check_rows(manifest, found, lambda _: None)
    assert (rows.rows, rows.accepted) == (3, 1)
    assert set(found.kinds) == {
        ("error", "invalid_request", "id"),
        ("error", "invalid_request", "width"),
    }


def test_a_hub_that_is_down_costs_its_references_only(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(picture()))
    with small_hub.serving({"a.png": encode(picture())}) as hub:
        hub.break_down(http_origin.close_at_once)
        manifest = manifest_of(tmp_path, content_image=[hub.url("a.png"), "a.png"])
        problems, facts = check(manifest, options=hub.options, attempts=1)
    assert [problem.kind for problem in problems] == ["uri_timeout"]
    assert facts.images == 1
