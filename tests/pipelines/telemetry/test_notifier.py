from __future__ import annotations

from datetime import datetime
from typing import Any

from pipelines.config.telemetry import NotifyConfig
from pipelines.telemetry.notifier import Notifier
from pipelines.telemetry.snapshot import Snapshot
from pipelines.telemetry.webhook import Event


def told(**config: Any) -> tuple[Notifier, list[Event]]:
    events: list[Event] = []
    settings = NotifyConfig.model_validate(config)
    return Notifier("r1", "s3://bucket/out", settings, send=events.append), events


def at(done: int, total: int | None = 200) -> Snapshot:
    return Snapshot(total=total, completed=done)


def test_the_payload_has_the_shape_of_a_task() -> None:
    notifier, events = told()
    notifier.ended(
        Snapshot(
            total=10, completed=6, failed=1, skipped=3, images=7, failed_by_code={"internal": 1}
        ),
        interrupted=False,
    )
    payload = dict(events[0].payload)
    created, updated = (
        datetime.fromisoformat(payload.pop(f"{k}_at")) for k in ("created", "updated")
    )
    assert created.tzinfo is not None
    assert created <= updated
    assert payload == {
        "id": "r1",
        "status": 9,
        "status_name": "completed",
        "event": "end",
        "output": {
            "uri": "s3://bucket/out",
            "total": 10,
            "completed": 6,
            "failed": 1,
            "failed_by_code": {"internal": 1},
            "skipped": 3,
            "images": 7,
            "percent": 100,
            "elapsed_s": 0,
            "eta_s": None,
        },
        "error": None,
    }


def test_each_state_has_its_number() -> None:
    notifier, events = told()
    notifier.started(at(0))
    notifier.ended(at(200), interrupted=False, error="over the budget")
    notifier.ended(at(20), interrupted=True)
    notifier.failed(at(20), "no cluster")
    shown = [
        (e.kind, e.payload["status"], e.payload["status_name"], e.payload["error"]) for e in events
    ]
    assert shown == [
        ("start", 7, "running", None),
        ("end", 9, "completed", "over the budget"),
        ("end", 11, "cancelled", None),
        ("failure", 10, "failed", "no cluster"),
    ]


def test_progress_is_told_at_each_step_once() -> None:
    notifier, events = told(every_percent=25)
    for done in (0, 49, 50, 51, 99, 100, 180, 199, 200):
        notifier.update(at(done))
    assert [event.payload["output"]["percent"] for event in events] == [25, 50, 90]
    assert {event.kind for event in events} == {"progress"}


def test_rows_of_earlier_runs_count_and_steps_that_are_passed_at_once_are_one() -> None:
    notifier, events = told(every_percent=10)
    notifier.update(Snapshot(total=100, skipped=70, failed=5))
    assert [event.payload["output"]["percent"] for event in events] == [75]


def test_without_a_known_number_of_rows_there_is_no_progress() -> None:
    notifier, events = told()
    notifier.update(at(50, total=None))
    notifier.update(at(0, total=0))
    assert events == []


def test_only_the_events_that_are_asked_for() -> None:
    notifier, events = told(events=["failure"])
    notifier.started(at(0))
    notifier.update(at(100))
    notifier.ended(at(200), interrupted=False)
    notifier.failed(at(100), "broken")
    assert [event.kind for event in events] == ["failure"]
