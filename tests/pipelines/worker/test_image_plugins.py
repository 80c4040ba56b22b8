"""Plug-ins that look at finished images: their values, their files, and their failures."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pytest
from PIL import Image

from pipelines.errors import ConfigError
from pipelines.image_values import is_per_image
from pipelines.worker import image_plugins
from pipelines.worker.image_plugins import ChosenPlugin, Finding, FinishedImage, chosen_plugins
from pipelines.worker.plugin_chain import plugin_columns
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from tests import image_plugins as plugins
from tests.fresh_interpreter import loaded_after
from tests.image_plugins import chosen
from tests.pipelines.tiny_models import Gate, Misbehaving, tiny
from tests.pipelines.worker.rendering import WAIT_S
from tests.pipelines.worker.stylizing import config_for, make_row, stored
from uso_core.pipeline import USOPipeline

ROW = make_row(num_images=2)
SCORES = ("brightness", "channel")


class With(Protocol):
    def __call__(self, *names: str, pipeline: USOPipeline | None = None) -> Stylizer: ...


@pytest.fixture
def stylizer_with(tmp_path: Path) -> Iterator[With]:
    """Makes stylizers with plug-ins of `tests.image_plugins`, which store below `tmp_path`."""
    with ExitStack() as stack:

        def make(*names: str, pipeline: USOPipeline | None = None) -> Stylizer:
            config = config_for(tmp_path / "-".join(["out", *names]))
            spec = StylizerSpec.from_config(config)
            on = tuple(chosen(name) for name in names)
            stylizer = Stylizer(
                StylizerSpec(**{**vars(spec), "image_plugins": on}), pipeline=pipeline or tiny()
            )
            stack.callback(stylizer.close)
            return stylizer

        yield make


def test_without_plugins_there_are_no_values(stylizer_with: With) -> None:
    assert stylizer_with().stylize(ROW).image_values == {}


def test_a_score_is_in_the_outcome_and_the_file_stays_as_it_is(stylizer_with: With) -> None:
    plain, scored = (stylizer_with(*names).stylize(ROW) for names in ((), ("BRIGHTNESS",)))
    assert scored.sha256 == plain.sha256
    assert set(scored.image_values) == set(SCORES)
    for path, brightness in zip(scored.outputs, scored.image_values["brightness"], strict=True):
        with Image.open(path) as image:
            levels = image.tobytes()
        assert brightness == pytest.approx(sum(levels) / len(levels) / 255)
    assert all(type(value) is float for value in scored.image_values["brightness"])
    assert pickle.loads(pickle.dumps(scored)) == scored


def test_a_signature_is_in_the_file_before_it_is_hashed(stylizer_with: With) -> None:
    plain, signed = (stylizer_with(*names).stylize(ROW) for names in ((), ("SIGNATURE",)))
    files = stored(signed)
    for index, (data, before) in enumerate(zip(files, stored(plain), strict=True)):
        assert data == before + f" signed by nobody: row/{index}".encode()
    assert signed.sha256 == tuple(hashlib.sha256(data).hexdigest() for data in files)
    assert signed.image_values == {"size": tuple(len(data) for data in stored(plain))}


def test_plugins_see_files_as_the_ones_before_have_left_them(stylizer_with: With) -> None:
    outcome = stylizer_with("SIGNATURE", "BRIGHTNESS", "SIGNATURE").stylize(ROW)
    first, second = stored(outcome)
    assert first.count(b"signed by") == second.count(b"signed by") == 2
    assert list(outcome.image_values) == ["size", *SCORES]


def test_a_plugin_that_may_fail_leaves_nulls_and_its_files_alone(stylizer_with: With) -> None:
    plain = stylizer_with().stylize(ROW)
    outcome = stylizer_with("BROKEN", "BRIGHTNESS").stylize(ROW)
    assert outcome.failure is None
    assert outcome.sha256 == plain.sha256
    assert outcome.image_values["glow"] == (None, None)
    assert None not in outcome.image_values["brightness"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("STRICT", "the plug-in strict failed: ZeroDivisionError: no light"),
        ("WRONG_TYPE", "the plug-in wrong type failed: ArrowInvalid: "),
        ("UNDECLARED", "the plug-in undeclared failed: KeyError: "),
    ],
)
def test_a_plugin_that_must_not_fail_fails_its_row_with_the_reason(
    stylizer_with: With, tmp_path: Path, name: str, reason: str
) -> None:
    outcome = stylizer_with("BRIGHTNESS", name).stylize(ROW)
    assert outcome.failure is not None
    assert outcome.failure.code == "internal"
    assert outcome.failure.message.startswith(reason)
    assert (outcome.outputs, outcome.image_values) == ((), {})
    assert not list(tmp_path.rglob("*.png"))


def test_a_plugin_may_refuse_a_row_with_a_failure_of_its_own(stylizer_with: With) -> None:
    failure = stylizer_with("REFUSING").stylize(ROW).failure
    assert failure is not None
    assert (failure.code, failure.message) == ("storage_write", "no image of row may be stored")


def test_a_plugin_works_while_the_device_renders_the_next_row(
    stylizer_with: With, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()

    def slow(image: FinishedImage) -> Finding:
        if image.row.id == "first":
            gate(0)
        return Finding()

    slow_plugin = plugins._plugin("slow", slow)
    monkeypatch.setattr(plugins, "SLOW", slow_plugin, raising=False)
    pipeline = Misbehaving()
    stylizer = stylizer_with("SLOW", pipeline=pipeline)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(stylizer.stylize, make_row("first", seed=0))
        assert gate.reached.wait(WAIT_S)
        assert stylizer.stylize(make_row("second", seed=1)).failure is None
        assert pipeline.decoded == [0, 1]
        assert not first.done()
        assert stylizer.activity().storing == 1
        gate.open()
        assert first.result(WAIT_S).failure is None


def test_a_configuration_switches_plugins_on_in_the_order_of_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = tuple(chosen(name).location for name in ("SIGNATURE", "BRIGHTNESS"))
    monkeypatch.setattr(image_plugins, "IMAGE_PLUGINS", registry)
    assert chosen_plugins(config_for(tmp_path)) == ()
    config = config_for(tmp_path, stylize={"gpus_per_actor": 0, "seed": 5})
    on = tuple(ChosenPlugin(location, {"seed": 5}) for location in registry)
    assert StylizerSpec.from_config(config).image_plugins == on
    assert pickle.loads(pickle.dumps(on)) == on


def test_columns_are_marked_and_in_order() -> None:
    columns = plugin_columns([chosen("SIGNATURE"), chosen("BRIGHTNESS")], pa.schema([]))
    assert columns.names == ["size", *SCORES]
    assert all(map(is_per_image, columns))


def test_a_column_that_the_manifest_has_too_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"'channel' is also .* plug-in brightness; rename"):
        plugin_columns([chosen("BRIGHTNESS")], pa.schema([("channel", pa.string())]))


def test_a_column_of_two_plugins_is_an_error() -> None:
    with pytest.raises(ConfigError, match="the plug-in strict declares the column 'glow'"):
        plugin_columns([chosen("BROKEN"), chosen("STRICT")], pa.schema([]))


def test_a_safety_check_fills_the_column_that_is_reserved_for_it() -> None:
    assert plugin_columns([chosen("SAFETY")], pa.schema([])).names == []


def test_the_registry_loads_no_plugin_and_no_arrow() -> None:
    heavy = {"pyarrow", "torch", "PIL"}
    assert loaded_after("import pipelines.worker.image_plugins").isdisjoint(heavy)
