from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.calibration.measurements import (
    PATH,
    Calibration,
    Machine,
    Settings,
    ShapeTime,
    read_calibration,
    save_calibration,
)
from pipelines.calibration.shapes import Shape
from pipelines.config.model import ModelConfig
from pipelines.storage.storage import Storage
from uso_core.loading.dimensions import Dimensions

SETTINGS = Settings.of(Dimensions(), ModelConfig())
SMALL, LARGE = Shape(512, 512, 0, 0, 25, 1), Shape(1024, 1024, 0, 0, 25, 1)


def machine(*times: ShapeTime, device: str = "H200", at: str = "2026-01-01") -> Machine:
    return Machine(
        settings=SETTINGS, device=device, updated_at=at, startup_s=60, busy=0.9, shapes=times
    )


@pytest.fixture
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache" / "user.json"
    monkeypatch.setenv("USO_CALIBRATION_FILE", str(path))
    return path


def test_a_file_round_trips() -> None:
    held = Calibration((machine(ShapeTime(SMALL, 3, 1.5), ShapeTime(LARGE, 1, 6.0)),))
    assert Calibration.from_json(held.to_json()) == held


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b'{"version": 2}', b'{"version":1,"machines":[{}]}']
)
def test_an_unreadable_file_counts_as_empty(data: bytes) -> None:
    assert Calibration.from_json(data) == Calibration()


def test_a_later_run_wins_unless_it_has_far_fewer_rows() -> None:
    held = Calibration((machine(ShapeTime(SMALL, 100, 1.0), ShapeTime(LARGE, 2, 5.0)),))
    new = machine(ShapeTime(SMALL, 3, 9.0), ShapeTime(LARGE, 2, 6.0), at="2026-02-01")
    (merged,) = held.with_machine(new).machines
    assert {time.shape: time.seconds for time in merged.shapes} == {SMALL: 1.0, LARGE: 6.0}
    enough = machine(ShapeTime(SMALL, 20, 9.0), at="2026-03-01")
    (merged,) = held.with_machine(enough).machines
    assert {time.shape: time.seconds for time in merged.shapes} == {SMALL: 9.0, LARGE: 5.0}


def test_the_device_that_was_measured_last_wins() -> None:
    first = machine(ShapeTime(SMALL, 1, 1.0), at="2026-01-01")
    later = machine(ShapeTime(SMALL, 1, 2.0), device="H100", at="2026-01-02")
    held = Calibration().with_machine(later).with_machine(first)
    assert held.latest(SETTINGS) == later
    other = Settings.of(Dimensions(), ModelConfig(compile=True))
    assert held.latest(other) is None


def test_a_run_writes_both_files(tmp_path: Path, user_file: Path) -> None:
    output = Storage.at(f"{tmp_path}/out")
    assert read_calibration(output) == Calibration()
    save_calibration(output, [machine(ShapeTime(SMALL, 1, 1.0))])
    assert output.exists(PATH)
    elsewhere = Storage.at(f"{tmp_path}/other")
    assert read_calibration(elsewhere) == read_calibration(output)
    # The output's own measurements win over later ones from elsewhere.
    save_calibration(elsewhere, [machine(ShapeTime(SMALL, 1, 2.0), at="2026-09-09")])
    found = read_calibration(output).latest(SETTINGS)
    assert found is not None
    assert found.shapes[0].seconds == 1.0


def test_a_run_without_measurements_writes_nothing(tmp_path: Path, user_file: Path) -> None:
    save_calibration(Storage.at(str(tmp_path)), [])
    assert not user_file.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_does_not_fail_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("USO_CALIBRATION_FILE", f"{tmp_path}/file/below")
    save_calibration(Storage.at(f"{tmp_path}/out"), [machine(ShapeTime(SMALL, 1, 1.0))])
    assert "calibration_not_written" in caplog.text


def test_a_file_that_cannot_be_read_counts_as_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("USO_CALIBRATION_FILE", str(tmp_path))
    assert read_calibration(Storage.at(f"{tmp_path}/out")) == Calibration()
    assert "calibration_unreadable" in caplog.text


def test_a_user_without_a_home_has_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USO_CALIBRATION_FILE", "~nobody-of-this-name/calibration.json")
    output = Storage.at(f"{tmp_path}/out")
    save_calibration(output, [machine(ShapeTime(SMALL, 1, 1.0))])
    assert read_calibration(output).machines


def test_batched_rows_are_measured_separately() -> None:
    held = Calibration((machine(),))
    together = Settings.of(Dimensions(), ModelConfig(), batch_images=4)
    assert held.latest(SETTINGS) is not None
    assert held.latest(together) is None


def test_an_old_file_without_batch_images_is_about_single_images() -> None:
    document = json.loads(Calibration((machine(),)).to_json())
    for item in document["machines"]:
        del item["settings"]["batch_images"]
    assert Calibration.from_json(json.dumps(document).encode()) == Calibration((machine(),))
