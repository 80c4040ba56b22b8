"""A row becomes images and an outcome, or an outcome with a failure."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pipelines.reference_facts import ReferenceRights
from pipelines.rows import ManifestRow, ReferenceVersion
from pipelines.worker.activity import Activity
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from tests.pipelines import http_origin as http
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tiny_models import Misbehaving, OutOfMemory, tiny
from tests.pipelines.worker.stylizing import Make, config_for, make_row, stored
from uso_core.request import Parameters, StylizeRequest


def test_a_row_becomes_the_images_the_pipeline_draws(make: Make, tmp_path: Path) -> None:
    (tmp_path / "content.png").write_bytes(encode(picture()))
    styles = (encode(picture(seed=1)), encode(picture(seed=2), "JPEG"))
    row = make_row(content=str(tmp_path / "content.png"), styles=styles, num_images=2)
    stylizer = make()
    outcome = stylizer.stylize(row)
    with Image.open(io.BytesIO(styles[1])) as opened:
        second_style = opened.copy()
    request = StylizeRequest(
        prompt="a boat",
        content_image=picture(),
        style_images=[picture(seed=1), second_style],
        **{name: getattr(row.parameters, name) for name in Parameters.__dataclass_fields__},
    )
    files = stored(outcome)
    for data, want in zip(files, tiny()([request]), strict=True):
        with Image.open(io.BytesIO(data)) as image:
            assert image.tobytes() == want.image.tobytes()
    assert outcome.sha256 == tuple(hashlib.sha256(data).hexdigest() for data in files)
    assert [Path(uri).name for uri in outcome.outputs] == ["row_0.png", "row_1.png"]
    assert (outcome.row_id, outcome.width, outcome.height) == ("row", 32, 48)
    assert outcome.prompt_truncated is False
    assert (outcome.worker, outcome.device) == (stylizer.info().worker, "cpu")


def test_the_weights_of_a_rows_styles_count(make: Make) -> None:
    stylizer, styles = make(), (encode(picture(seed=1)),)
    row = make_row(styles=styles)
    weights = (None, (1.0,), (0.5,))
    plain, one, half = (stored(stylizer.stylize(replace(row, style_weights=w))) for w in weights)
    assert plain == one != half


def test_an_outcome_has_the_versions_of_the_references_that_were_fetched(
    make: Make, tmp_path: Path
) -> None:
    content, style = tmp_path / "content.png", tmp_path / "style.png"
    content.write_bytes(encode(picture()))
    style.write_bytes(encode(picture(seed=1)))
    versions = [
        ReferenceVersion(
            f"{path.stat().st_size}-{path.stat().st_mtime_ns}",
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in (content, style)
    ]
    row = make_row(content=str(content), styles=(str(style), encode(picture(seed=2))))
    assert make().stylize(row).references == (*versions, None)
    without = replace(row, parameters=replace(row.parameters, content_long_size=0))
    assert make().stylize(without).references == (None, versions[1], None)
    style.write_bytes(b"no image")
    failed = make().stylize(row)
    assert failed.failure is not None
    assert failed.references[1] is not None
    style.unlink()
    assert make().stylize(row).references[1] == ReferenceVersion("absent", None)
    off = {"fingerprint": {"local": "uri"}}
    by_name = ReferenceVersion(None, versions[0].sha256)
    assert make(fetch=off).stylize(make_row(content=str(content))).references == (by_name,)


def test_every_stage_is_timed(make: Make) -> None:
    timings = make().stylize(make_row(content=encode(picture()))).timings
    stages = (timings.fetch, timings.condition, timings.inference, timings.decode, timings.store)
    assert all(stage is not None and 0 < stage < 10_000 for stage in stages)


def test_a_row_done_again_gives_the_same_files_under_the_same_names(make: Make) -> None:
    row = make_row(styles=(encode(picture()),))
    stylizer = make()
    first = stylizer.stylize(row)
    stylizer.stylize(make_row("other", content=encode(picture(seed=5)), seed=1))
    again = make().stylize(row)
    assert (first.outputs, first.sha256) == (again.outputs, again.sha256)


def test_images_hold_the_recipe_of_their_seed(tmp_path: Path) -> None:
    spec = replace(StylizerSpec.from_config(config_for(tmp_path)), recipe_model="tiny:0")
    stylizer = Stylizer(spec, pipeline=tiny())
    row = make_row(styles=(encode(picture()),), num_images=2, seed=5)
    recipes = []
    for data in stored(stylizer.stylize(row)):
        with Image.open(io.BytesIO(data)) as image:
            recipes.append(image.info["parameters"])
    stylizer.close()
    assert ["Seed: 5," in recipes[0], "Seed: 6," in recipes[1]] == [True, True]
    assert all(text.startswith("a boat\nSteps: ") for text in recipes)
    assert all(
        text.endswith('Model: "tiny:0", Preset: exact, Styles: inline image') for text in recipes
    )


def test_content_that_is_left_out_need_not_exist(make: Make) -> None:
    row = make_row(content="/nowhere.png", content_long_size=0)
    assert stored(make().stylize(row)) == stored(make().stylize(replace(row, content_image=None)))


def test_output_size_follows_the_content_image(make: Make) -> None:
    row = make_row(content=encode(picture(96, 48)), width=None, height=None)
    outcome = make().stylize(row)
    assert outcome.width is not None
    assert outcome.height is not None
    assert outcome.width > outcome.height


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (make_row(content="/nowhere.png"), "uri_not_found"),
        (make_row(styles=(encode(picture()), encode(picture())[:200])), "image_corrupt"),
        (make_row(styles=("ftp://host/x",)), "uri_refused"),
        (make_row(width=24), "invalid_request"),
        (make_row(num_steps=0), "invalid_request"),
        (make_row(content=encode(picture(1000, 4))), "invalid_request"),
    ],
    ids=["missing", "corrupt", "refused", "size", "steps", "narrow"],
)
def test_rows_at_fault_end_with_a_failure(make: Make, row: ManifestRow, code: str) -> None:
    outcome = make().stylize(row)
    assert outcome.failure is not None
    assert outcome.failure.code == code
    assert outcome.outputs == ()
    assert outcome.timings.fetch is not None
    assert outcome.timings.inference is None
    assert outcome.worker is not None


def test_of_several_broken_references_the_first_is_reported(make: Make) -> None:
    with http.serving() as origin:
        slow = origin.on("/slow", http.drip(b"no image, and late", every_s=0.005))
        outcome = make().stylize(make_row(content=slow, styles=("/nowhere.png",)))
    assert outcome.failure is not None
    assert outcome.failure.uri == slow


def test_storage_that_refuses_fails_the_row(make: Make, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    outcome = make().stylize(make_row())
    assert outcome.failure is not None
    assert outcome.failure.code == "storage_write"
    assert outcome.timings.inference is not None


def test_a_row_too_large_for_the_device_leaves_the_next_one_alone(make: Make) -> None:
    stylizer = make(Misbehaving(OutOfMemory(2)))
    failed = stylizer.stylize(make_row("large"))
    assert failed.failure is not None
    assert failed.failure.code == "out_of_memory"
    assert stored(stylizer.stylize(make_row("next")))


def test_bugs_are_not_hidden_in_outcomes(make: Make) -> None:
    def bug(seed: int) -> None:
        raise ZeroDivisionError

    stylizer = make(Misbehaving(bug))
    with pytest.raises(ZeroDivisionError):
        stylizer.stylize(make_row())
    assert stylizer.activity() == Activity(0, 0, 0, 0, 0)


def test_licences_and_wishes_are_recorded_and_honoured_where_asked(
    make: Make, tmp_path: Path
) -> None:
    style = tmp_path / "style.png"
    style.write_bytes(encode(picture(seed=1)))
    (tmp_path / "style.png.license").write_text("SPDX-License-Identifier: CC0-1.0\nnoai\n")
    row = make_row(content=encode(picture()), styles=(str(style),))
    found = ReferenceRights("CC0-1.0", "noai in style.png.license")
    outcome = make().stylize(row)
    assert outcome.failure is None
    assert outcome.rights == (None, found)
    refused = make(fetch={"wishes": "honour"}).stylize(row)
    assert refused.failure is not None
    assert refused.failure.code == "uri_refused"
    assert f"{style}: column style_images[0]: " in refused.failure.message
    assert refused.rights == (None, found)
    assert make(fetch={"wishes": "ignore"}).stylize(row).rights == (None, None)
