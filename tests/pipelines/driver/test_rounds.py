"""Further tries in a run: records, images, interruptions and budgets, with threads as workers."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from pipelines.config.schema import RunConfig
from pipelines.driver.prepare import prepare
from pipelines.driver.summary import RunSummary, summarize
from pipelines.errors import ConfigError
from pipelines.failures import Failure
from pipelines.rows import ManifestRow, Outcome
from pipelines.worker.stylizer import Stylizer
from tests.pipelines.driver.test_driver import config, driver_of, write_rows
from tests.pipelines.inprocess_pool import InProcessPool
from tests.pipelines.records import stored
from tests.pipelines.tiny_models import tiny

ROWS = [f"r{number}" for number in range(6)]
HARD = {"n": 3, "by": "sharpness", "until": 1e9}
Work = Callable[[ManifestRow], Outcome]


def write_images(folder: Path, ids: list[str], num_images: int = 1) -> None:
    folder.mkdir(exist_ok=True)
    sizes = {name: [32] * len(ids) for name in ("width", "height")}
    seeds = [int(name[1:]) for name in ids]
    numbers = {"num_steps": [1] * len(ids), "num_images": [num_images] * len(ids)}
    write_rows(folder, ids, seed=seeds, **sizes, **numbers)


def settings(folder: Path, best_of: Any = None, **sections: Any) -> RunConfig:
    scores = ["sharpness", "blank", "colourfulness"]
    return config(folder, scores=scores, best_of=best_of, **sections)


def run(
    wanted: RunConfig,
    wrap: Callable[[Work], Work] = lambda work: work,
    pool: Callable[[Work], InProcessPool] = lambda work: InProcessPool(2, work),
) -> tuple[dict[str, dict[str, Any]], Counter[tuple[str, int]], RunSummary]:
    """Do a run; return its records by id, the number of draws by id and seed, and its summary."""
    drawn: Counter[tuple[str, int]] = Counter()
    with driver_of(wanted) as (driver, stats, prepared):
        stylizer = Stylizer(prepared.spec, pipeline=tiny())

        def work(row: ManifestRow) -> Outcome:
            drawn[row.id, row.parameters.seed] += 1
            return stylizer.stylize(row)

        with closing(stylizer):
            if driver.find_work():
                driver.work(pool(wrap(work)))
        driver.leave_out_others()
        driver.take_new_values()
        prepared.ledger.compact()
        prepared.ledger.verify()
        summary = summarize(prepared, stats, interrupted=not driver.reached_end)
        return {each["id"]: each for each in stored(prepared.output)}, drawn, summary


def told(records: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what must not depend on timing."""
    names = ("status", "seed", "sha256", "scores", "tries", "fingerprint")
    return {row_id: [record.get(name) for name in names] for row_id, record in records.items()}


def check_images(records: dict[str, dict[str, Any]]) -> None:
    for record in records.values():
        data = [Path(uri).read_bytes() for uri in record["outputs"]]
        assert [hashlib.sha256(each).hexdigest() for each in data] == record["sha256"]


def test_the_best_of_all_tries_is_kept_and_all_are_recorded(tmp_path: Path) -> None:
    for name in ("once", "thrice"):
        write_images(tmp_path / name, ROWS)
    once, _, _ = run(settings(tmp_path / "once"))
    records, drawn, summary = run(settings(tmp_path / "thrice", HARD))
    check_images(records)
    assert sum(drawn.values()) == 3 * len(ROWS)
    assert set(drawn.values()) == {1}
    assert (summary.completed, summary.images, summary.extra_images) == (6, 6, 12)
    moved = 0
    for row_id, record in records.items():
        tries, first = record["tries"], once[row_id]
        assert sorted(each["number"] for each in tries) == [0, 1, 2]
        scores = [each["scores"]["sharpness"] for each in tries]
        assert scores[0] == max(scores) == record["scores"][0]["sharpness"]
        assert record["seed"] == tries[0]["seed"]
        (original,) = [each for each in tries if each["number"] == 0]
        assert (original["seed"], original["scores"]) == (first["seed"], first["scores"][0])
        moved += tries[0]["number"] != 0
        assert record["fingerprint"] == first["fingerprint"]
    assert moved > 0
    kept = [record["scores"][0]["sharpness"] for record in records.values()]
    assert summary.scores["sharpness"] == pytest.approx(sum(kept) / len(kept))
    _, again, _ = run(settings(tmp_path / "thrice", HARD))
    assert not again


def test_good_rows_are_left_alone(tmp_path: Path) -> None:
    write_images(tmp_path, ROWS)
    records, _, _ = run(settings(tmp_path))
    values = sorted(record["scores"][0]["sharpness"] for record in records.values())
    line = (values[2] + values[3]) / 2
    rule = {"n": 2, "by": "sharpness", "until": line}
    later, drawn, summary = run(settings(tmp_path, rule))
    assert (len(drawn), summary.skipped, summary.extra_images) == (3, 6, 3)
    for row_id, record in later.items():
        was_poor = records[row_id]["scores"][0]["sharpness"] < line
        assert (record["tries"] is not None) == was_poor
        if not was_poor:
            assert record["created_at"] == records[row_id]["created_at"]


def test_a_budget_goes_to_the_worst_rows(tmp_path: Path) -> None:
    write_images(tmp_path, ROWS)
    records, drawn, summary = run(settings(tmp_path, {**HARD, "max_extra": 3}))
    assert summary.extra_images == 3
    firsts = {
        row_id: next(
            (each["scores"]["sharpness"] for each in record["tries"] or () if not each["number"]),
            record["scores"][0]["sharpness"],
        )
        for row_id, record in records.items()
    }
    worst = sorted(ROWS, key=lambda row_id: firsts[row_id])[:3]
    assert {row_id for row_id, record in records.items() if record["tries"]} == set(worst)
    assert sum(drawn.values()) == len(ROWS) + 3


def test_a_failed_try_leaves_its_row_completed_and_a_later_run_makes_up_for_it(
    tmp_path: Path,
) -> None:
    for name in ("straight", "failing"):
        write_images(tmp_path / name, ROWS)
    straight, _, _ = run(settings(tmp_path / "straight", HARD))

    def failing(work: Work) -> Work:
        def fails(row: ManifestRow) -> Outcome:
            if row.id == "r3" and row.another_try is not None:
                return Outcome(row_id=row.id, failure=Failure("out_of_memory", "too large"))
            return work(row)

        return fails

    wanted = settings(tmp_path / "failing", HARD)
    records, _, summary = run(wanted, failing)
    assert (summary.failed, summary.failed_tries, summary.extra_images) == (0, 1, 10)
    assert (records["r3"]["status"], records["r3"]["tries"]) == ("completed", None)
    records, drawn, _ = run(wanted)
    assert [row_id for row_id, _ in drawn] == ["r3"] * 2
    assert told(records) == told(straight)


def test_a_row_of_several_images_is_tried_as_a_whole(tmp_path: Path) -> None:
    write_images(tmp_path, ROWS[:2], num_images=2)
    records, _, summary = run(settings(tmp_path, HARD))
    check_images(records)
    assert summary.extra_images == 8
    for record in records.values():
        first, values = record["tries"][0], [each["sharpness"] for each in record["scores"]]
        assert first["scores"]["sharpness"] == pytest.approx(sum(values) / 2)


def test_the_plan_of_a_begun_output_is_what_is_drawn_at_most(tmp_path: Path) -> None:
    write_images(tmp_path, ROWS[:2], num_images=2)
    run(settings(tmp_path, {**HARD, "n": 2}))
    for rule in (HARD, {**HARD, "n": 5, "max_extra": 10}):  # 4 and 8 images have been drawn by then
        wanted = settings(tmp_path, rule)
        config_path = tmp_path / "run.yaml"
        config_path.write_text(json.dumps(wanted.model_dump(mode="json", exclude_unset=True)))
        planned = CliRunner().invoke(app, ["plan", str(config_path), "--json"])
        assert planned.exit_code == 0, planned.output
        before = json.loads(planned.stdout)["extra"]["images"]
        _, drawn, summary = run(wanted)
        assert before == 2 * sum(drawn.values())
        assert summary.extra_images == before


def test_rows_that_are_gone_take_no_part_of_the_budget(tmp_path: Path) -> None:
    write_images(tmp_path, ROWS)
    records, _, _ = run(settings(tmp_path))
    worst = sorted(ROWS, key=lambda row_id: records[row_id]["scores"][0]["sharpness"])
    write_images(tmp_path, sorted(worst[2:]))
    rule = {**HARD, "n": 2, "max_extra": 2}
    _, drawn, _ = run(settings(tmp_path, rule))
    assert {row_id for row_id, _ in drawn} == set(worst[2:4])


def test_rows_that_are_kept_after_a_change_get_no_try(tmp_path: Path) -> None:
    write_images(tmp_path, ROWS[:2])
    before, _, _ = run(settings(tmp_path))
    write_images(tmp_path, ROWS[:2], num_images=2)
    after, drawn, _ = run(settings(tmp_path, HARD, output={"on_change": "keep"}))
    assert not drawn
    assert told(after) == told(before)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            {"by": "palette"},
            r"best_of\.by: 'palette' is not among the scores of this run \(sharpness, [a-z, ]+\); "
            "add it to the section `scores`$",
        ),
        ({"by": "sharpnes"}, r"\(sharpness, .*\); did you mean sharpness\?"),
        (
            {"by": "colourfulness"},
            r"best_of\.by: colourfulness: neither end of this score is better",
        ),
        (
            {"by": "blank", "until": 1.5},
            r"best_of\.until: 1\.5 is not a value of blank; give one from 0 to 1",
        ),
        ({"until": -3}, r"best_of\.until: -3 is not a value of sharpness; give one from 0$"),
    ],
)
def test_a_rule_that_cannot_decide_is_refused(
    tmp_path: Path, rule: dict[str, Any], message: str
) -> None:
    write_images(tmp_path, ROWS)
    wanted = settings(tmp_path, {**HARD, **rule})
    with pytest.raises(ConfigError, match=message), prepare(wanted):
        pass


def test_a_rule_without_scores_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path, ROWS)
    message = r"'sharpness' is not .* \(it has none\); add it to the section `scores`$"
    wanted = config(tmp_path, scores={}, best_of=HARD)
    with pytest.raises(ConfigError, match=message), prepare(wanted):
        pass


def test_a_column_named_tries_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path, ["r1"], tries=["many"])
    run(config(tmp_path), lambda _: lambda row: Outcome(row_id=row.id))
    with pytest.raises(ConfigError, match="column 'tries' is also a column"):
        run(settings(tmp_path, HARD))


def test_the_output_is_packed_and_reported(tmp_path: Path) -> None:
    write_images(tmp_path, ROWS[:3])
    run(settings(tmp_path, HARD))
    out = str(tmp_path / "out")
    for command in (["pack", out, "--layout", "parquet"], ["report", out], ["status", out]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
