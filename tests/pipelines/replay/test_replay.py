"""Rows that are drawn again from their records, and the names of the changes since."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.inputs import FetchConfig
from pipelines.config.schema import RunConfig
from pipelines.errors import ReplayError
from pipelines.fetch.fetcher import Fetcher
from pipelines.ledger.records import Records
from pipelines.replay.chosen import Choice, choose
from pipelines.replay.verdict import Verdict
from pipelines.storage.storage import Storage
from pipelines.styles.library import StyleLibrary
from pipelines.tools.styling.make import Source, make_style
from tests.pipelines.pictures import picture
from tests.pipelines.provenance.chains import make_chain
from tests.pipelines.records import drop_column, stored
from tests.pipelines.replay.outputs import drawn, inline, replayed, rewritten, settings, varied
from tests.pipelines.tiny_models import tiny
from uso_core.families import family_of
from uso_core.loading.source import ModelSource

PLAIN = {"prompt": "a", "width": 32, "height": 32, "num_steps": 1}
STYLED = {**PLAIN, "content_image": "ref0.png", "style_images": ["ref1.png", "ref2.png"]}


def output_in(folder: Path) -> Storage:
    return Storage.at(str(folder / "out"))


def kinds(verdict: Verdict) -> set[tuple[str, str]]:
    return {(each.kind, each.name) for each in verdict.differences}


def only(verdicts: dict[str, Verdict]) -> Verdict:
    (verdict,) = verdicts.values()
    return verdict


@pytest.mark.parametrize(
    "count", [16, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_varied_rows_are_byte_equal(tmp_path: Path, count: int) -> None:
    drawn(tmp_path, varied(count))
    found = replayed(output_in(tmp_path))
    assert Counter(verdict.result for verdict in found.values()) == {"equal": count}
    assert {verdict.row_id for verdict in found.values() if verdict.differences} == set()


@pytest.mark.parametrize(
    "encoding", [{"format": "webp"}, {"format": "avif"}, {"format": "jpeg", "recipe": False}]
)
def test_other_formats_and_names_are_byte_equal(tmp_path: Path, encoding: dict[str, Any]) -> None:
    drawn(tmp_path, [STYLED], output={**encoding, "name": "{prompt}-{content_stem}"})
    assert only(replayed(output_in(tmp_path))).result == "equal"


def test_records_of_earlier_versions_are_drawn_as_they_were(tmp_path: Path) -> None:
    rows = varied(12)
    drawn(tmp_path, rows, defaults={"content_long_size": 40})
    output = output_in(tmp_path)
    for name in ("keep_size", "content_long_size", "library_versions", "reference_versions"):
        drop_column(output, name)
    found = replayed(output)
    assert {verdict.result for verdict in found.values()} == {"equal"}
    assert {tuple(kinds(verdict)) for verdict in found.values()} == {(("library", "unknown"),)}


def test_a_replaced_reference_is_named(tmp_path: Path) -> None:
    drawn(tmp_path, [STYLED, PLAIN])
    picture(40, 32, seed=9).save(tmp_path / "ref2.png")
    found = replayed(output_in(tmp_path))
    assert found["r1"].result == "equal"
    assert found["r0"].result == "different"
    assert kinds(found["r0"]) == {("reference_changed", "style_images[1]")}
    assert "ref2.png: SHA-256" in found["r0"].reasons
    assert "style_images[1]: " in found["r0"].reasons


def test_a_reference_that_is_gone_is_named(tmp_path: Path) -> None:
    drawn(tmp_path, [STYLED, PLAIN])
    (tmp_path / "ref0.png").unlink()
    found = replayed(output_in(tmp_path))
    assert kinds(found["r0"]) == {("reference_gone", "content_image")}
    assert "uri_not_found" in found["r0"].reasons
    assert (found["r0"].result, found["r1"].result) == ("different", "equal")


def test_an_inline_image_is_found_in_the_manifest_or_named(tmp_path: Path) -> None:
    row = {**PLAIN, "content_image": inline(3), "style_images": [inline(4), "ref1.png"]}
    drawn(tmp_path, [row])
    assert only(replayed(output_in(tmp_path))).result == "equal"
    (tmp_path / "m.parquet").unlink()
    verdict = only(replayed(output_in(tmp_path)))
    assert verdict.result == "different"
    assert kinds(verdict) == {("reference_gone", "inline")}


def test_another_preset_is_named(tmp_path: Path) -> None:
    drawn(tmp_path, [{**STYLED, "num_steps": 3}])
    verdict = only(replayed(output_in(tmp_path), None, None, "model.preset=draft"))
    assert ("preset", "preset") in kinds(verdict)
    assert "preset: draft now, exact then" in verdict.reasons or verdict.result == "equal"


def test_another_model_is_named(tmp_path: Path) -> None:
    drawn(tmp_path, [PLAIN])
    verdict = only(replayed(output_in(tmp_path), None, None, "model.base=tiny:1"))
    assert verdict.result == "different"
    assert kinds(verdict) == {("model", "model")}
    assert "tiny:1 (" in verdict.reasons
    assert verdict.distance is not None
    assert verdict.distance.psnr < 40


def test_another_setting_is_named_and_equal_pixels_are_in_tolerance(tmp_path: Path) -> None:
    config = drawn(tmp_path, [PLAIN])
    other = settings(tmp_path, output={"recipe": False})
    verdict = only(replayed(output_in(tmp_path), None, RunConfig.model_validate(other)))
    assert verdict.result == "within_tolerance"
    assert kinds(verdict) == {("setting", "output.recipe")}
    assert "equal pixels in another file" in verdict.reasons
    assert config.output.recipe


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("library_versions", "torch 2.0.1, python 3.11.7", ("library", "torch")),
        ("device", "NVIDIA H200", ("device", "device")),
    ],
)
def test_another_library_and_another_device_are_named(
    tmp_path: Path, column: str, value: str, kind: tuple[str, str]
) -> None:
    drawn(tmp_path, [PLAIN])
    rewritten(output_in(tmp_path), lambda record: record.update({column: value}))
    verdict = only(replayed(output_in(tmp_path)))
    assert verdict.result == "equal"
    assert kind in kinds(verdict)
    said = next(each.message for each in verdict.differences if (each.kind, each.name) == kind)
    assert said.endswith("2.0.1 then" if column != "device" else "NVIDIA H200 then")


def test_a_changed_record_is_named(tmp_path: Path) -> None:
    drawn(tmp_path, [PLAIN])
    rewritten(output_in(tmp_path), lambda record: record.update(prompt="another"))
    verdict = only(replayed(output_in(tmp_path)))
    assert verdict.result == "different"
    assert kinds(verdict) == {("record", "fingerprint")}


def test_a_changed_image_does_not_hide_that_the_row_is_as_recorded(tmp_path: Path) -> None:
    drawn(tmp_path, [PLAIN])
    output = output_in(tmp_path)
    (path,) = output.list("images")
    output.write(path, b"x")
    assert only(replayed(output)).result == "equal"
    verdict = only(replayed(output, None, None, "model.base=tiny:1"))
    assert "the recorded image was changed; see uso verify" in verdict.reasons
    output.delete(path)
    verdict = only(replayed(output, None, None, "model.base=tiny:1"))
    assert "the recorded image is missing; see uso verify" in verdict.reasons


def test_a_kept_further_try_is_drawn_with_its_own_seed(tmp_path: Path) -> None:
    rows = [{**PLAIN, "seed": number} for number in range(3)]
    drawn(tmp_path, rows, scores=["sharpness"], best_of={"n": 3, "by": "sharpness", "until": 1e9})
    output = output_in(tmp_path)
    assert any(record["tries"][0]["number"] for record in stored(output))
    found = replayed(output)
    assert [verdict.result for verdict in found.values()] == ["equal"] * 3
    assert not any(verdict.differences for verdict in found.values())


def test_failed_rows_are_left_out_and_unknown_ids_refused(tmp_path: Path) -> None:
    drawn(tmp_path, [PLAIN, {**PLAIN, "content_image": "gone.png"}])
    records = Records(output_in(tmp_path))
    assert choose(records, Choice()).left_out == 1
    assert choose(records, Choice(("r1",))).rows == 0
    with pytest.raises(ReplayError, match="no record has the id 'r9'"):
        choose(records, Choice(("r0", "r9")))


def test_a_sample_follows_its_seed(tmp_path: Path) -> None:
    drawn(tmp_path, [{**PLAIN, "seed": number} for number in range(8)])
    records = Records(output_in(tmp_path))
    samples = [choose(records, Choice(sample=3, seed=seed)).ids for seed in (0, 0, 1, 2)]
    assert samples[0] == samples[1]
    assert len({*samples}) > 1
    assert {len(ids or ()) for ids in samples} == {3}
    assert choose(records, Choice(sample=99)).rows == 8


def test_rows_of_several_runs_are_drawn_each_with_its_settings(tmp_path: Path) -> None:
    drawn(tmp_path, [PLAIN])
    drawn(tmp_path, [PLAIN, {**STYLED}], output={"recipe": False})
    output = output_in(tmp_path)
    assert len({record["run_id"] for record in stored(output)}) == 2
    assert {verdict.result for verdict in replayed(output).values()} == {"equal"}
    (run_id,) = (record["run_id"] for record in stored(output) if record["id"] == "r0")
    (first,) = (path for path in output.list("run") if run_id in path and path.endswith(".json"))
    output.delete(first)
    found = replayed(output)
    assert found["r1"].result == "equal"
    assert kinds(found["r0"]) == {("record", "run")}


def test_an_output_in_any_store(tmp_path: Path, storage: Storage) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    drawn(folder, [PLAIN, STYLED])
    for path in (folder / "out").rglob("*"):
        if path.is_file():
            storage.write(str(path.relative_to(folder / "out")), path.read_bytes())
    shutil.rmtree(folder / "out")
    assert {verdict.result for verdict in replayed(storage).values()} == {"equal"}
    verdict = replayed(storage, Choice(("r0",)), None, "model.base=tiny:1")["r0"]
    assert verdict.distance is not None


def test_a_signed_image_is_compared_as_it_was_before_it_was_signed(tmp_path: Path) -> None:
    chain = make_chain(tmp_path)
    keys = {"certificate": str(chain.certificate), "key": str(chain.key)}
    drawn(tmp_path, [PLAIN, STYLED], output={"provenance": {"c2pa": True, **keys}})
    chain.key.unlink()
    found = replayed(output_in(tmp_path))
    assert [verdict.result for verdict in found.values()] == ["equal", "equal"]


def add_style(folder: Path, seed: int) -> None:
    """Add a style named `ink` to a library, as `uso style add` makes it."""
    source = ModelSource("tiny")
    card = family_of(source).describe(source)
    picture(32, 32, seed=seed).save(folder / "ink.png")
    images = [Source(str(folder / "ink.png"), 1.0)]
    _, data = make_style(tiny(), card, "exact", images, Fetcher(FetchConfig()), "CC0")
    StyleLibrary(str(folder / "styles"), {}).write("ink", data, force=True)


def test_a_style_of_a_library_is_drawn_or_named(tmp_path: Path) -> None:
    add_style(tmp_path, seed=1)
    library = {"style_library": str(tmp_path / "styles")}
    drawn(tmp_path, [{**STYLED, "style": "ink"}], manifest=library)
    verdict = only(replayed(output_in(tmp_path)))
    assert (verdict.result, kinds(verdict)) == ("equal", set())
    add_style(tmp_path, seed=2)
    verdict = only(replayed(output_in(tmp_path)))
    assert verdict.result == "different"
    assert kinds(verdict) == {("reference_changed", "style ink")}
    assert "style ink: another style has its name now" in verdict.reasons


@pytest.mark.parametrize("name", ["seed", "num_steps", "guidance"])
def test_a_record_without_a_value_is_named_and_hides_no_other_row(
    tmp_path: Path, name: str
) -> None:
    drawn(tmp_path, [PLAIN, PLAIN])
    output = output_in(tmp_path)
    rewritten(output, lambda record: record.update({name: None} if record["id"] == "r0" else {}))
    found = replayed(output)
    assert kinds(found["r0"]) == {("record", name)}
    assert [found[row].result for row in ("r0", "r1")] == ["different", "equal"]
