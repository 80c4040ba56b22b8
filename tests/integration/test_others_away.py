"""Google Cloud Storage and Azure become unavailable for a while in the middle of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chaos.proxy import FaultProxy
from benchmarks.chaos.stores import Scheme, serve_store
from pipelines.config.schema import RunConfig
from pipelines.driver.run import run
from pipelines.telemetry.snapshot import Snapshot
from tests.integration.harness import (
    check_ledger,
    manifest_rows,
    run_config,
    write_manifest,
    write_references,
)
from tests.pipelines.storage.stores import azure_options

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.timeout(120),
]

ROWS = 30
AWAY_S = 2.0


class CutsOff:
    """A listener that cuts off the store once, after some rows."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self.done = False

    def update(self, snapshot: Snapshot) -> None:
        if not self.done and 3 <= snapshot.completed < ROWS - 10:
            self.done = True
            self._proxy.go_away(AWAY_S)


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_a_store_that_goes_for_a_while_costs_no_row(tmp_path: Path, scheme: Scheme) -> None:
    rows = manifest_rows(ROWS, [str(tmp_path / name) for name in write_references(tmp_path, 3)])
    manifest = write_manifest(tmp_path / "manifest.parquet", rows)
    with (
        serve_store(scheme, tmp_path / "store") as store,
        FaultProxy(store.address, seed=1).serving() as proxy,
    ):
        output = f"{scheme}://{store.new_bucket()}/out"
        storage = (
            {"az": azure_options(proxy.url)} if scheme == "az" else store.settings_at(proxy.url)
        )
        settings = run_config(str(manifest), output, storage=storage)
        settings["output"] |= {"commit_seconds": 0.1, "give_up_after_s": 20}
        settings["stylize"]["actors"] = 1
        cuts = CutsOff(proxy)
        summary = run(RunConfig.model_validate(settings), listener=cuts)
        assert cuts.done
        assert (summary.completed, summary.failed) == (ROWS, 0)
        check_ledger(output, [row["id"] for row in rows], dict(store.options[scheme]))
