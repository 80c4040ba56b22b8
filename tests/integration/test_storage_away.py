"""The store of a run becomes unavailable, temporarily or for good, while rows are generated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.chaos.proxy import FaultProxy
from pipelines.config.schema import RunConfig
from pipelines.driver.run import run
from pipelines.errors import BrokenOffError
from pipelines.storage.storage import Storage
from pipelines.telemetry.snapshot import Snapshot
from tests.integration.harness import (
    check_ledger,
    manifest_rows,
    read_records,
    run_config,
    write_manifest,
    write_references,
)
from tests.s3_server import S3Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.timeout(200),
]

PATIENCE_S = 5.0
FOR_GOOD = 600.0
ROWS = 60


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    behind = urlsplit(s3_server.endpoint_url)
    assert behind.hostname is not None
    assert behind.port is not None
    with FaultProxy((behind.hostname, behind.port), seed=1).serving() as proxy:
        yield proxy


class CutsOff:
    """A listener that cuts off the store once enough rows are recorded."""

    def __init__(
        self, proxy: FaultProxy, recorded: Callable[[], int], after_rows: int, seconds: float
    ) -> None:
        self._proxy = proxy
        self._recorded = recorded
        self._after_rows = after_rows
        self._seconds = seconds
        self.at: float | None = None

    def update(self, snapshot: Snapshot) -> None:
        if self.at is None and snapshot.completed and self._recorded() >= self._after_rows:
            self.at = time.monotonic()
            self._proxy.go_away(self._seconds)


def test_a_store_that_goes_for_good_ends_the_run_and_one_that_comes_back_does_not(
    tmp_path: Path, s3_server: S3Server, proxy: FaultProxy
) -> None:
    rows = manifest_rows(ROWS, [str(tmp_path / name) for name in write_references(tmp_path, 3)])
    manifest = write_manifest(tmp_path / "manifest.parquet", rows)
    output = f"s3://{s3_server.new_bucket()}/out"
    s3 = s3_server.options["s3"]
    settings = run_config(str(manifest), output, storage={"s3": {**s3, "endpoint_url": proxy.url}})
    settings["output"] |= {"commit_seconds": 0.1, "give_up_after_s": PATIENCE_S}
    settings["stylize"]["actors"] = 1
    config = RunConfig.model_validate(settings)

    def recorded() -> int:
        return len(read_records(output, s3))

    for_good = CutsOff(proxy, recorded, after_rows=3, seconds=FOR_GOOD)
    with pytest.raises(BrokenOffError, match="check the endpoint and the network"):
        run(config, listener=for_good)
    assert for_good.at is not None
    assert PATIENCE_S < time.monotonic() - for_good.at < 6 * PATIENCE_S
    committed = recorded()
    assert 3 <= committed < ROWS

    # The lease was not given back; from another process, its holder is known to be dead.
    Storage.at(output, s3_server.options).delete("run/lease.json")
    proxy.go_away(0)
    for_a_while = CutsOff(proxy, recorded, after_rows=committed + 3, seconds=PATIENCE_S / 2)
    summary = run(config, listener=for_a_while)
    assert for_a_while.at is not None
    assert (summary.completed, summary.skipped) == (ROWS - committed, committed)
    records = check_ledger(output, [row["id"] for row in rows], s3)
    assert {record["status"] for record in records.values()} == {"completed"}
