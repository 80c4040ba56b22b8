from __future__ import annotations

from pipelines.rows import Outcome
from pipelines.telemetry.stats import CacheUse
from uso_core.model.cache import Lookups


def outcome(worker: str | None, **caches: Lookups) -> Outcome:
    return Outcome(row_id="row", worker=worker, caches=caches)


def test_workers_are_added_up_and_each_counts_once() -> None:
    use = CacheUse()
    use.note(outcome("a", prompts=Lookups(0, 1)))
    use.note(outcome("b", prompts=Lookups(5, 5), styles=Lookups(1, 0)))
    use.note(outcome("a", prompts=Lookups(1, 1)))
    assert use.total == {"prompts": Lookups(6, 6), "styles": Lookups(1, 0)}


def test_an_outcome_that_comes_late_takes_nothing_back() -> None:
    use = CacheUse()
    use.note(outcome("a", prompts=Lookups(7, 2)))
    use.note(outcome("a", prompts=Lookups(3, 2)))
    use.note(outcome(None))  # no worker had this row
    assert use.total == {"prompts": Lookups(7, 2)}
