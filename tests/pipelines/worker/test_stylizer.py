from __future__ import annotations

import hashlib
import io
import pickle
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from PIL import Image

from pipelines.config.schema import RunConfig
from pipelines.rows import ManifestRow, Outcome, Reference
from pipelines.worker.activity import Activity
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from tests.pipelines import http_origin as http
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tiny_models import Gate, Misbehaving, OutOfMemory, tiny
from uso_core.model.cache import Lookups
from uso_core.pipeline import USOPipeline
from uso_core.request import Parameters, StylizeRequest

PARAMETERS = Parameters(width=32, height=48, num_steps=2, seed=7, content_long_size=32)


def make_row(
    row_id: str = "row",
    content: Reference | None = None,
    styles: tuple[Reference, ...] = (),
    **numbers: Any,
) -> ManifestRow:
    return ManifestRow(row_id, "a boat", content, styles, replace(PARAMETERS, **numbers), "f00d")


def config_for(folder: Path, **sections: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "manifest": {"path": "unused"},
            "output": {"path": str(folder)},
            "model": {"base": "tiny"},
            "fetch": {"allow_private_networks": True, "timeout_s": 5, "attempts": 2},
            "stylize": {"gpus_per_actor": 0},
            **sections,
        }
    )


class Make(Protocol):
    def __call__(self, pipeline: USOPipeline | None = None, **sections: Any) -> Stylizer: ...


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes stylizers that store below `tmp_path/out`."""
    with ExitStack() as stack:

        def make(pipeline: USOPipeline | None = None, **sections: Any) -> Stylizer:
            spec = StylizerSpec.from_config(config_for(tmp_path / "out", **sections))
            stylizer = Stylizer(spec, pipeline=pipeline or tiny())
            stack.callback(stylizer.close)
            return stylizer

        yield make


def stored(outcome: Outcome) -> list[bytes]:
    assert outcome.failure is None, outcome.failure
    return [Path(uri).read_bytes() for uri in outcome.outputs]


# --- what a row becomes -------------------------------------------------------------------------


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


def test_content_that_is_left_out_need_not_exist(make: Make) -> None:
    row = make_row(content="/nowhere.png", content_long_size=0)
    assert stored(make().stylize(row)) == stored(make().stylize(replace(row, content_image=None)))


def test_output_size_follows_the_content_image(make: Make) -> None:
    row = make_row(content=encode(picture(96, 48)), width=None, height=None)
    outcome = make().stylize(row)
    assert outcome.width is not None
    assert outcome.height is not None
    assert outcome.width > outcome.height


# --- what goes wrong ----------------------------------------------------------------------------


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


# --- rows side by side --------------------------------------------------------------------------


def test_while_one_row_is_drawn_the_next_is_fetched(make: Make) -> None:
    gate = Gate()
    fetch = {"allow_private_networks": True, "timeout_s": 1, "attempts": 1}
    stylizer = make(Misbehaving(gate), fetch=fetch)
    with http.serving() as origin, ThreadPoolExecutor(3) as pool:
        url = origin.on("/x", http.ok(encode(picture())))
        hanging = origin.on("/hang", http.hang)
        first = pool.submit(stylizer.stylize, make_row("first"))
        assert gate.reached.wait(5)
        second = pool.submit(stylizer.stylize, make_row("second", content=url))
        third = pool.submit(stylizer.stylize, make_row("third", content=hanging))
        give_up_at = time.monotonic() + 5
        while stylizer.activity().drawing < 2 and time.monotonic() < give_up_at:
            time.sleep(0.005)
        seen = stylizer.activity()
        gate.open()
        outcomes = [first.result(10), second.result(10), third.result(10)]
    assert (seen.fetching, seen.drawing, seen.storing) == (1, 2, 0)
    assert [outcome.status for outcome in outcomes] == ["completed", "completed", "failed"]
    stored_bytes = sum(Path(uri).stat().st_size for outcome in outcomes for uri in outcome.outputs)
    assert stored_bytes
    assert stylizer.activity() == Activity(
        *(0, 0, 0),
        cache_hits=0,
        cache_misses=2,
        fetched_bytes=len(encode(picture())),
        stored_bytes=stored_bytes,
    )


def test_references_of_a_row_are_fetched_side_by_side(make: Make) -> None:
    data = encode(picture())
    together = threading.Barrier(3)

    def wait_for_the_others(connection: Any) -> None:
        together.wait(5)
        http.ok(data)(connection)

    with http.serving() as origin:
        urls = tuple(origin.on(f"/{n}", wait_for_the_others) for n in range(3))
        assert stored(make().stylize(make_row(content=urls[0], styles=urls[1:])))


def test_many_rows_in_threads_give_what_they_give_alone(make: Make) -> None:
    rows = [make_row(f"r{n}", content=encode(picture(seed=n)), seed=n) for n in range(6)]
    alone = [make().stylize(row).sha256 for row in rows]
    stylizer = make()
    with ThreadPoolExecutor(6) as pool:
        assert [outcome.sha256 for outcome in pool.map(stylizer.stylize, rows)] == alone


def test_small_rows_that_wait_are_drawn_together_where_the_preset_allows_it(make: Make) -> None:
    gate = Gate()
    pipeline = Misbehaving(lambda seed: gate(seed) if seed == 0 else None)
    model = {"base": "tiny", "preset": "fp8"}  # the models that are drawn with stay as they are
    stylizer = make(pipeline, model=model, stylize={"batch_images": 3})
    rows = [make_row(f"r{seed}", seed=seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = [pool.submit(stylizer.stylize, rows[0])]
        assert gate.reached.wait(30)
        outcomes += [pool.submit(stylizer.stylize, row) for row in rows[1:]]
        while stylizer.activity().drawing < 4:
            time.sleep(0.001)
        time.sleep(0.05)  # from there to the queue is a line or two
        gate.open()
        assert [len(stored(outcome.result(30))) for outcome in outcomes] == [1] * 4
    assert pipeline.batches == [1, 3]


def test_outcomes_tell_what_was_found_in_memory(make: Make) -> None:
    stylizer = make(Misbehaving(lambda _: None))
    with http.serving() as origin:
        url = origin.on("/x", http.ok(encode(picture())))
        rows = [make_row("a", content=url), make_row("b", content=url)]
        first, second = (stylizer.stylize(row).caches for row in rows)
    kinds = {"references", "prompts", "content images"}
    assert {kind for kind, found in first.items() if found == Lookups(0, 1)} == kinds
    assert {kind for kind, found in second.items() if found == Lookups(1, 1)} == kinds


# --- what it is built from ----------------------------------------------------------------------


def test_the_spec_is_picklable_and_shows_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_SECRET", "hidden")
    config = config_for(tmp_path, storage={"s3": {"secret": "${S3_SECRET}"}})
    spec = StylizerSpec.from_config(config)
    assert spec.storage == {"s3": {"secret": "hidden"}}
    assert "hidden" not in repr(spec)
    assert pickle.loads(pickle.dumps(spec)) == spec
    monkeypatch.delenv("S3_SECRET")
    with pytest.raises(ValueError, match="S3_SECRET"):
        StylizerSpec.from_config(config)


@pytest.mark.parametrize(
    ("stylize", "device", "threads"),
    [
        ({"gpus_per_actor": 0, "cpus_per_actor": 0.5}, "cpu", 1),
        ({"gpus_per_actor": 1, "cpus_per_actor": 3.9}, "cuda", 3),
    ],
)
def test_the_spec_settles_device_and_threads(
    tmp_path: Path, stylize: dict[str, float], device: str, threads: int
) -> None:
    spec = StylizerSpec.from_config(config_for(tmp_path, stylize=stylize))
    assert (spec.model.device, spec.torch_threads) == (device, threads)


def test_the_spec_does_not_depend_on_the_folder_it_is_used_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    model = {"base": "weights", "uso": "owner/repo", "siglip": "s3://bucket/siglip"}
    config = config_for(Path("out"), model=model, fetch={"local_roots": ["images"]})
    spec = StylizerSpec.from_config(config)
    assert spec.output is not None
    assert spec.output.path == str(tmp_path / "out")
    assert spec.fetch.local_roots == [str(tmp_path / "images")]
    assert spec.model.base == str(tmp_path / "weights")
    assert (spec.model.uso, spec.model.siglip) == ("owner/repo", "s3://bucket/siglip")
    remote = config_for(tmp_path, output={"path": "s3://bucket/out"})
    output = StylizerSpec.from_config(remote).output
    assert output is not None
    assert output.path == "s3://bucket/out"
