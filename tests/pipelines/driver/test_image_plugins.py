"""A run with plug-ins, from its configuration to its records; threads play the workers."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.schema import RunConfig
from pipelines.driver.prepare import prepare
from pipelines.errors import ConfigError
from pipelines.worker import image_plugins
from pipelines.worker.stylizer import Stylizer
from tests.image_plugins import chosen
from tests.pipelines.driver.test_driver import config, driver_of, write_rows
from tests.pipelines.inprocess_pool import InProcessPool
from tests.pipelines.records import stored
from tests.pipelines.tiny_models import tiny

ON = {"gpus_per_actor": 0, "attempts": 1, "seed": 5}


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    locations = tuple(chosen(name).location for name in ("BRIGHTNESS", "SIGNATURE", "SAFETY"))
    monkeypatch.setattr(image_plugins, "IMAGE_PLUGINS", locations)


def run(settings: RunConfig) -> list[dict[str, Any]]:
    """Do a run, and return the records of its output."""
    with driver_of(settings) as (driver, _, prepared):
        stylizer = Stylizer(prepared.spec, pipeline=tiny())
        with closing(stylizer):
            driver.work(InProcessPool(1, stylizer.stylize))
        return stored(prepared.output)


def rows(folder: Path, names: list[str]) -> None:
    count = len(names)
    sizes: dict[str, list[Any]] = {"width": [32] * count, "height": [32] * count}
    write_rows(folder, names, **sizes, seed=[1] * count, num_steps=[1] * count)


def test_plugins_that_are_switched_on_leave_columns(tmp_path: Path) -> None:
    rows(tmp_path, ["a"])
    [plain] = run(config(tmp_path))
    assert "brightness" not in plain
    rows(tmp_path, ["a", "b"])
    before, scored = run(config(tmp_path, stylize=ON))
    assert before["brightness"] is None
    assert before["has_nsfw_contents"] == [None]
    assert scored["has_nsfw_contents"] == [False]
    [brightness] = scored["brightness"]
    assert 0 < brightness < 1
    signature = b" signed by nobody: b/0"
    assert Path(scored["outputs"][0]).read_bytes().endswith(signature)
    assert scored["size"] == [Path(scored["outputs"][0]).stat().st_size - len(signature)]


def test_a_column_of_the_manifest_with_the_name_of_a_value_ends_the_run_at_once(
    tmp_path: Path,
) -> None:
    write_rows(tmp_path, ["a"], brightness=[1.0])
    with pytest.raises(ConfigError, match="keep_columns"), prepare(config(tmp_path, stylize=ON)):
        pass
