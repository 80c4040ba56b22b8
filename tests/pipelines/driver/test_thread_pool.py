"""Runs without Ray: `ray.address: none`."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import ray

from pipelines import ConfigError, RunConfig, WorkersFailedError, load_config, run
from pipelines.worker.spec import StylizerSpec
from tests.integration.scripted_worker import CannotLoadWorker, ScriptedWorker


def config(folder: Path, prompts: str, **stylize: object) -> RunConfig:
    (folder / "rows.csv").write_text(f"prompt\n{prompts}\n", encoding="utf-8")
    return load_config(
        {
            "manifest": {"path": folder / "rows.csv"},
            "output": {"path": folder / "out"},
            "model": {"base": "tiny"},
            "stylize": {"gpus_per_actor": 0, **stylize},
            "ray": {"address": "none"},
        }
    )


def test_a_bug_in_a_row_fails_the_row_and_the_others_go_through(tmp_path: Path) -> None:
    summary = run(config(tmp_path, "a\nraise\nb"), make_worker=ScriptedWorker)
    assert (summary.completed, summary.failed) == (2, 1)
    (failure,) = summary.failures
    assert failure.code == "internal"
    assert "a bug in the worker" in failure.message


def test_rows_are_worked_on_together(tmp_path: Path) -> None:
    rows = "\n".join(["sleep:0.5"] * 8)
    started = time.perf_counter()
    run(config(tmp_path, rows, rows_in_flight=8), make_worker=ScriptedWorker)
    assert time.perf_counter() - started < 3  # 4 s one after another


def test_a_model_that_does_not_load_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(WorkersFailedError, match=r"flux1-dev\.safetensors is not there"):
        run(config(tmp_path, "a"), make_worker=CannotLoadWorker)


def test_a_row_that_hangs_ends_the_run_and_the_others_stay_recorded(tmp_path: Path) -> None:
    settings = config(tmp_path, "a\nsleep:600", row_timeout_s=0.3)
    with pytest.raises(WorkersFailedError, match=r"row_timeout_s.*ray\.address: local"):
        run(settings, make_worker=ScriptedWorker)
    (tmp_path / "rows.csv").write_text("prompt\na\n", encoding="utf-8")
    assert run(settings, make_worker=ScriptedWorker).skipped == 1


@pytest.mark.parametrize("setting", ["stylize.actors=2", "ray.env={A: b}"])
def test_settings_of_processes_are_refused(setting: str) -> None:
    given = {"manifest": {"path": "m"}, "output": {"path": "o"}, "ray": {"address": "none"}}
    with pytest.raises(ConfigError, match="has no effect there"):
        load_config(given, setting)


def test_nothing_starts_ray(tmp_path: Path) -> None:
    run(config(tmp_path, "a"), make_worker=ScriptedWorker)
    assert not ray.is_initialized()


def test_the_worker_is_closed_with_the_run(tmp_path: Path) -> None:
    closed: list[bool] = []

    class Closing(ScriptedWorker):
        def close(self) -> None:
            closed.append(True)

    def make(spec: StylizerSpec) -> ScriptedWorker:
        return Closing(spec)

    run(config(tmp_path, "a"), make_worker=make)
    assert closed == [True]
