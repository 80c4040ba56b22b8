from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.calibration.measurements import Machine, Settings, ShapeTime
from pipelines.calibration.shapes import Shape
from pipelines.config.model import ModelConfig
from pipelines.config.schema import RunConfig
from pipelines.ledger.ledger import Ledger
from pipelines.manifest.manifest import Manifest
from pipelines.record import RunFacts, make_record, record_schema
from pipelines.rows import Outcome
from pipelines.storage.storage import Storage
from pipelines.tools.planning.plan import Uniques, Workload, make_plan, survey
from pipelines.tools.planning.speed import Speed
from tests.pipelines.manifests import CARD, config, opened, write
from tests.pipelines.records import completed
from uso_core.loading.dimensions import Dimensions
from uso_core.presets import PRESETS, PresetName

FULL = Shape(1024, 1024, 512, 1, 25, 1)
HALF = Shape(1024, 1024, 512, 1, 50, 1)


def work(rows: int, shape: Shape = FULL) -> Workload:
    return Workload({shape: rows}, 0, 0, 0, Uniques(0, 0, 0))


def measured(seconds: float) -> Speed:
    settings = Settings.of(Dimensions(), ModelConfig())
    machine = Machine(
        settings=settings,
        device="H200",
        updated_at="2026-01-01",
        startup_s=60,
        busy=0.8,
        shapes=(ShapeTime(FULL, 10, seconds),),
    )
    return Speed(Dimensions(), machine)


def run_config(**sections: Any) -> RunConfig:
    return config("unused", **sections)


def test_measurements_are_used() -> None:
    plan = make_plan(run_config(stylize={"actors": 4}), work(800), measured(4))
    assert plan.device_s == 3200
    assert plan.wall_s == pytest.approx(1060)  # 3200 s for 4 actors, busy 80 %, and the start-up
    assert plan.device_hours == pytest.approx(1060 * 4 / 3600)
    assert plan.shapes[0].basis == "measured"
    assert plan.flops == pytest.approx(800 * 2474e12, rel=1e-3)


def test_other_shapes_are_scaled_by_their_arithmetic() -> None:
    plan = make_plan(run_config(), work(1, HALF), measured(4))
    assert plan.shapes[0].basis == "scaled"
    assert plan.shapes[0].seconds == pytest.approx(8)


def test_without_a_measurement_an_h200_is_assumed() -> None:
    plan = make_plan(run_config(), work(1), Speed(Dimensions(), None))
    assert plan.shapes[0].basis == "stated"
    assert plan.shapes[0].seconds == pytest.approx(2474 / (790 * 0.5), rel=1e-3)
    assert plan.startup_s is None
    fast = make_plan(run_config(), work(1), Speed(Dimensions(), None, compiled=True))
    assert fast.shapes[0].seconds == pytest.approx(2474 / (790 * 0.7), rel=1e-3)


def test_float8_speeds_up_the_linear_layers_but_not_attention() -> None:
    seconds, basis = Speed(Dimensions(), None, preset=PRESETS["fp8"]).seconds(FULL)
    assert seconds == pytest.approx(2.05 / 0.5, rel=1e-2)
    assert basis == "stated"


@pytest.mark.parametrize(
    ("preset", "stated_as"),
    [
        ("exact", None),
        ("fp8", None),
        ("fp8+cache", "fp8"),
        ("draft", "exact"),
        ("low_vram", "exact"),
        ("tiny_vram", "exact"),
    ],
)
def test_a_preset_of_unknown_speed_is_stated_as_another(
    preset: PresetName, stated_as: PresetName | None
) -> None:
    speed = Speed(Dimensions(), None, preset=PRESETS[preset])
    assert speed.stated_as == stated_as
    same_as = Speed(Dimensions(), None, preset=PRESETS[stated_as or preset])
    assert speed.seconds(FULL) == same_as.seconds(FULL)


def test_the_time_on_an_unmeasured_cpu_is_unknown() -> None:
    plan = make_plan(run_config(stylize={"gpus_per_actor": 0}), work(1), Speed(Dimensions(), None))
    assert plan.device_s is plan.wall_s is plan.device_hours is None


def test_at_most_as_many_actors_work_as_there_are_rows() -> None:
    plan = make_plan(run_config(stylize={"actors": 64}), work(2), measured(4))
    assert plan.wall_s == pytest.approx(8 / (2 * 0.8) + 60)


def test_nothing_to_do_takes_no_time() -> None:
    plan = make_plan(run_config(), Workload({}, 5, 0, 0, Uniques(0, 0, 0)), measured(4))
    assert plan.wall_s == plan.image_bytes == plan.flops == 0


def test_the_size_of_images_depends_on_their_format() -> None:
    png = make_plan(run_config(), work(10), measured(4))
    jpeg_config = run_config().model_copy(
        update={"output": run_config().output.model_copy(update={"format": "jpeg"})}
    )
    jpeg = make_plan(jpeg_config, work(10), measured(4))
    assert 10 * 2**20 < jpeg.image_bytes * 2.5 < png.image_bytes


def test_the_survey_reads_the_manifest_as_a_run_does(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.parquet",
        {
            "id": ["done", "changed", "1", "2", "bad"],
            "prompt": ["p", "p", "p", "q", "r"],
            "content_image": ["a.jpg", "a.jpg", "a.jpg", None, None],
            "style_images": [[], [], ["s.jpg", "t.jpg"], ["s.jpg"], []],
            "num_images": [1, 1, 1, 4, 1],
            "width": [None, None, None, None, 7],
        },
    )
    manifest = opened(path)
    storage = Storage.at(f"{tmp_path}/out")
    schema = record_schema(manifest.extra_schema)
    facts = RunFacts(run_id="r", model="m", preset="exact")
    done = next(iter(manifest.entries()))
    template = completed("changed")
    record = make_record(
        done, Outcome(row_id="done"), facts, attempt=1, created_at=template["created_at"]
    )
    Ledger.open(storage, schema).append([record, template])
    told: list[int] = []
    found = survey(config(path), manifest, CARD.limits, Ledger.view(storage, schema), told.append)
    assert (found.rows, found.images) == (3, 6)
    assert (found.skipped, found.changed, found.rejected) == (1, 1, 1)
    assert found.uniques == Uniques(contents=1, styles=2, prompts=2)
    assert sum(told) == 5


def test_the_fewer_steps_of_a_preset_are_planned(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": ["a", "b"], "num_steps": [25, 8]})
    run = config(path, model={"preset": "draft"})
    manifest = Manifest.open(run, CARD)
    ledger = Ledger.view(Storage.at(str(tmp_path / "out")), record_schema(manifest.extra_schema))
    found = survey(run, manifest, CARD.limits, ledger)
    assert {shape.steps: rows for shape, rows in found.rows_by_shape.items()} == {12: 1, 8: 1}
