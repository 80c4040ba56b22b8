from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when Ray is imported

import pytest
import ray


@pytest.fixture(scope="package")
def ray_cluster() -> Iterator[None]:
    """One local cluster for all tests here that run the driver in this process.

    It ends with them: a process has one cluster at a time, and others follow.
    """
    with tempfile.TemporaryDirectory(prefix="uso", ignore_cleanup_errors=True) as folder:
        ray.init(
            address="local",
            num_cpus=8,
            include_dashboard=False,
            object_store_memory=200 * 10**6,
            log_to_driver=False,
            _system_config={"metrics_report_interval_ms": 500},  # instead of 10 s
            _temp_dir=folder,  # short: unix socket paths have a limit
        )
        yield
        ray.shutdown()
