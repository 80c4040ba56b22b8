"""Verdicts on images, without a model: bytes, pixels, tolerance and reasons."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.failures import Failure
from pipelines.replay.judge import Judge
from pipelines.replay.verdict import ReplayCounts, Verdict
from pipelines.rows import Outcome
from pipelines.storage.storage import Storage
from tests.pipelines.packing.outputs import generated


def png(off: int = 0, side: int = 24) -> bytes:
    """A grey picture, some of whose values are off."""
    pixels = np.full((16, side, 3), 100, np.uint8)
    pixels[:4, :4] += off
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Storage, Storage]:
    return Storage.at(str(tmp_path / "out")), Storage.at(str(tmp_path / "drawn"))


def judged(
    folders: tuple[Storage, Storage],
    *new: bytes,
    preset: str = "exact",
    batched: bool = False,
    failure: Failure | None = None,
) -> Verdict:
    output, drawn = folders
    record = generated(output, "a", images=2)
    for path in output.list("images"):
        output.write(path, png())
    record["sha256"] = [hashlib.sha256(png()).hexdigest()] * 2
    uris = [drawn.write(f"images/ca/a_{place}.png", data) for place, data in enumerate(new)]
    outcome = Outcome(
        row_id="a",
        failure=failure,
        outputs=tuple(uris),
        sha256=tuple(hashlib.sha256(data).hexdigest() for data in new),
    )
    judge = Judge(output, drawn, preset, None, (), batched=batched)
    verdict = judge.verdict(record | {"preset": preset}, outcome, is_sure=True)
    judge.clear(outcome)
    assert drawn.list("images") == []
    return verdict


def kinds(verdict: Verdict) -> set[str]:
    found: set[str] = {each.kind for each in verdict.differences}
    return found - {"library"}  # the record has no versions


def test_equal_bytes_are_equal_whatever_has_changed(folders: Any) -> None:
    verdict = judged(folders, png(), png(), batched=True)
    assert (verdict.result, kinds(verdict)) == ("equal", set())


def test_the_worst_image_decides(folders: Any) -> None:
    verdict = judged(folders, png(), png(2))
    assert verdict.result == "within_tolerance"
    assert verdict.distance is not None
    assert verdict.distance.largest == 2
    assert verdict.distance.psnr == pytest.approx(10 * np.log10(255**2 / (4 * 16 / (16 * 24))))
    verdict = judged(folders, png(), png(100))
    assert (verdict.result, kinds(verdict)) == ("different", set())


def test_a_preset_that_rounds_has_more_tolerance(folders: Any) -> None:
    assert judged(folders, png(), png(14)).result == "different"
    assert judged(folders, png(), png(14), preset="fp8").result == "within_tolerance"


def test_a_batch_is_named(folders: Any) -> None:
    verdict = judged(folders, png(), png(1), batched=True)
    assert (verdict.result, kinds(verdict)) == ("within_tolerance", {"batch"})


def test_other_sizes_and_other_numbers_of_images_are_different(folders: Any) -> None:
    assert "its size is another one now" in judged(folders, png(), png(side=32)).reasons
    assert "1 images now, 2 then" in judged(folders, png()).reasons


def test_a_failure_is_named_by_its_code(folders: Any) -> None:
    verdict = judged(folders, failure=Failure("out_of_memory", "too little"))
    assert (verdict.result, kinds(verdict)) == ("different", {"failure"})


def test_counts_have_the_first_different_rows() -> None:
    counts = ReplayCounts()
    for number in range(30):
        counts.add(Verdict(f"r{number}", "different" if number % 10 else "equal"))
    found = counts.as_dict()
    assert (found["rows"], found["equal"], found["different"]) == (30, 3, 27)
    assert len(found["examples"]) == 20
    assert not counts.is_reproduced
    assert found["examples"][0]["id"] == "r1"
    assert "nothing that is recorded has changed" in counts.examples[0].reasons
