"""The code around a model works with any model: here with one that only paints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import Image

from pipelines.calibration.measurements import Calibration, Machine, Settings
from pipelines.calibration.shapes import Shape
from pipelines.config.model import ModelConfig
from pipelines.config.schema import RunConfig
from pipelines.dispatch.row_affinity import affinity_of
from pipelines.rows import ManifestRow
from pipelines.tools.planning.model import inspect_model
from pipelines.worker.model_files import localize
from pipelines.worker.sparse_copy import sparse_copy
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from tests import second_model
from tests.second_model import PAINTED
from uso_core.families import family_of
from uso_core.request import Parameters


@pytest.fixture(autouse=True)
def _both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    second_model.install(monkeypatch)


def row(**numbers: Any) -> ManifestRow:
    return ManifestRow("row", "", None, (), Parameters(**numbers), "f00d")


def test_a_worker_paints_a_row(tmp_path: Path) -> None:
    config = RunConfig.model_validate(
        {
            "manifest": {"path": "unused"},
            "output": {"path": str(tmp_path)},
            "model": {"base": second_model.BASE},
            "stylize": {"gpus_per_actor": 0},
        }
    )
    stylizer = Stylizer(StylizerSpec.from_config(config))
    outcome = stylizer.stylize(row(seed=3, num_images=2, width=16, height=8))
    rejected = stylizer.stylize(row(width=12))
    stylizer.close()
    assert outcome.failure is None
    for path, seed in zip(outcome.outputs, (3, 4), strict=True):
        with Image.open(path) as image:
            assert image.size == (16, 8)
            assert image.getpixel((0, 0)) == second_model.colour(seed)
    assert rejected.failure is not None
    assert rejected.failure.code == "invalid_request"


@pytest.mark.parametrize("copy", [localize, sparse_copy])
def test_its_weights_are_brought_from_a_url(copy: object, tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe("/painted/model/painted.json", b"{}")
    config = ModelConfig(base="memory://painted/model", cache_dir=str(tmp_path))
    assert callable(copy)
    source = copy(config, {})
    assert Path(source.base, second_model.MARK).read_text() == "{}"
    assert family_of(source) is PAINTED


def test_plans_and_measurements_are_its_own() -> None:
    inspected = inspect_model(ModelConfig(base=second_model.BASE))
    assert inspected.card.limits == second_model.LIMITS
    model = family_of(inspected.source).dimensions(inspected.source)
    assert Shape.of(row(num_steps=2), inspected.card.limits).flops(model) == 32 * 32 * 2
    settings = Settings.of(model, ModelConfig())
    assert settings.family == "painted"
    machine = Machine(
        settings=settings, device="cpu", updated_at="", startup_s=0, busy=1, shapes=()
    )
    assert Calibration.from_json(Calibration((machine,)).to_json()).latest(settings) == machine


def test_rows_are_routed_by_its_costs() -> None:
    plain = ManifestRow("r", "a", "content", ("style",), Parameters(), "f")
    worth = affinity_of(plain, PAINTED.usual_dimensions.encoding, batched=False).keys.values()
    assert sorted(worth) == [1.0, 2.0, 3.0]
