"""`uso score`: numbers for the images of an output that exists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from pipelines.ledger.lease import Lease
from pipelines.ledger.score_facts import read_score_facts
from pipelines.storage.storage import Storage
from pipelines.worker.scores import palette
from tests.pipelines.driver.test_driver import config
from tests.pipelines.driver.test_scores import run, write_styled
from tests.pipelines.records import stored


def score(folder: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["score", str(folder / "out"), *arguments])
    return done.exit_code, done.output


def counts(folder: Path, *arguments: str) -> dict[str, Any]:
    code, said = score(folder, *arguments, "--json")
    assert code == 0, said
    found: dict[str, Any] = json.loads(said)
    return found


def records(folder: Path) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in stored(Storage.at(str(folder / "out")))}


def test_the_numbers_are_those_that_a_run_measures(tmp_path: Path) -> None:
    names = ["palette", "sharpness", "near_copy_style", "blank"]
    for name in ("scored", "later"):
        (tmp_path / name).mkdir()
        write_styled(tmp_path / name, "ab", "a")
    at_once, _, _ = run(config(tmp_path / "scored", scores=names))
    before, _, _ = run(config(tmp_path / "later"))
    found = counts(tmp_path / "later", "--scores", ",".join(names))
    assert (found["measured"], found["known"], found["lost"], found["unread"]) == (2, 0, 0, 0)
    after = records(tmp_path / "later")
    for row_id in "ab":
        assert after[row_id]["scores"] == at_once[row_id]["scores"]
        changed = {name for name in before[row_id] if before[row_id][name] != after[row_id][name]}
        assert changed == {"created_at"}
    known = counts(tmp_path / "later", "--scores", "palette,blank")
    assert (known["measured"], known["known"]) == (0, 2)
    _, drawn, _ = run(config(tmp_path / "later", scores=names))
    assert drawn == []


def test_only_rows_that_lack_a_score_are_measured_and_the_others_are_kept(tmp_path: Path) -> None:
    write_styled(tmp_path, "a", "a")
    first, _, _ = run(config(tmp_path, scores=["palette", "blank"]))
    write_styled(tmp_path, "ab", "ab")
    run(config(tmp_path))
    assert counts(tmp_path, "--scores", "palette")["measured"] == 1
    assert records(tmp_path)["a"] == first["a"]
    assert counts(tmp_path)["measured"] == 2
    (of_a,) = records(tmp_path)["a"]["scores"]
    assert of_a["palette"] == first["a"]["scores"][0]["palette"]
    assert of_a["structure"] is None
    assert of_a["sharpness"] > 0
    code, said = score(tmp_path)
    assert code == 0
    assert "known      2 rows, which had these scores" in said


def test_another_meaning_takes_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_styled(tmp_path, "ab", "ab")
    run(config(tmp_path, scores=["palette"]))
    newer = palette.SCORER.__class__(**{**vars(palette.SCORER), "version": 2})
    monkeypatch.setattr(palette, "SCORER", newer)
    code, said = score(tmp_path, "--scores", "palette")
    assert code == 2
    assert "measure all images again with uso score --again" in " ".join(said.split())
    assert counts(tmp_path, "--scores", "palette", "--again")["measured"] == 2
    run(config(tmp_path, scores=["palette"]))


def test_a_lost_image_and_a_lost_style_leave_their_scores_out(tmp_path: Path) -> None:
    write_styled(tmp_path, "ab", "a")
    found, _, _ = run(config(tmp_path))
    Path(found["b"]["outputs"][0]).write_bytes(b"no image")
    (tmp_path / "style.png").unlink()
    said = counts(tmp_path, "--scores", "palette,blank")
    assert (said["measured"], said["lost"], said["unread"]) == (1, 1, 2)
    after = records(tmp_path)
    assert after["a"]["scores"] == [{"palette": None, "blank": 0.0}]
    assert after["b"]["scores"] is None


def test_a_score_that_is_known_outlives_its_style(tmp_path: Path) -> None:
    write_styled(tmp_path, "a", "a")
    found, _, _ = run(config(tmp_path, scores=["palette"]))
    (tmp_path / "style.png").unlink()
    counts(tmp_path, "--scores", "palette,blank")
    (of_a,) = records(tmp_path)["a"]["scores"]
    assert of_a == {"palette": found["a"]["scores"][0]["palette"], "blank": 0.0}
    counts(tmp_path, "--scores", "palette", "--again")  # perhaps of another meaning
    assert records(tmp_path)["a"]["scores"] == [{"palette": None, "blank": 0.0}]


def test_wrong_arguments_change_nothing(tmp_path: Path) -> None:
    code, said = score(tmp_path)
    assert (code, "no records; check the path" in " ".join(said.split())) == (2, True)
    write_styled(tmp_path, "a", "a")
    run(config(tmp_path))
    code, said = score(tmp_path, "--scores", "palete")
    assert (code, "'palete' is unknown; give palette" in " ".join(said.split())) == (2, True)
    output = Storage.at(str(tmp_path / "out"))
    with Lease(output, "20260101T000000-abcdef-1"):
        assert score(tmp_path)[0] == 2
    assert read_score_facts(output) == {}


def test_a_configuration_names_the_scores(tmp_path: Path) -> None:
    write_styled(tmp_path, "a", "a")
    run(config(tmp_path))
    path = tmp_path / "run.yaml"
    path.write_text(
        f"manifest: {{path: {tmp_path}/m.parquet}}\noutput: {{path: {tmp_path}/out}}\n"
        "scores: [blank]\n"
    )
    assert counts(tmp_path, "--config", str(path))["scores"] == {"blank": 0.0}
