from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import ClusterError
from tests.pipelines.driver.test_driver import config, driver_of, names, ok, recorded, write_rows
from tests.pipelines.inprocess_pool import InProcessPool


class LosesItsHeadPool(InProcessPool):
    """The head is lost once `after` rows have ended."""

    after = 5

    @property
    def head_lost(self) -> bool:
        return self.tries.total() >= self.after


def test_a_lost_head_ends_the_run_with_what_had_ended_on_record(tmp_path: Path) -> None:
    settings = config(tmp_path, stylize={"gpus_per_actor": 0, "rows_in_flight": 1})
    write_rows(tmp_path, names(200))
    with driver_of(settings) as (driver, stats, _):
        assert driver.find_work()
        with pytest.raises(ClusterError, match="run the same command"):
            driver.work(LosesItsHeadPool(1, ok))
    assert 0 < stats.completed < 200
    assert len(recorded(tmp_path)) == stats.completed
