"""`run/<run id>.json`: the configuration, versions, counts and final state of a run."""

from __future__ import annotations

import json
import platform
import re
from dataclasses import asdict
from datetime import date, datetime, timezone
from typing import Any, Literal

from pipelines.config.redaction import redacted
from pipelines.config.schema import RunConfig
from pipelines.config.source import ConfigSource
from pipelines.errors import StorageError
from pipelines.moments import utc_now
from pipelines.storage.storage import Storage
from pipelines.telemetry.stats import RunStats
from pipelines.versions import PACKAGES, package_versions
from uso_core.loading.source import ModelCard

RunState = Literal["running", "completed", "interrupted", "failed"]

_RUN_FILE = re.compile(r"run/(\d{8})T\d{6}-[0-9a-f]{6}-\d+\.json")
_PACKAGES = (*PACKAGES, "ray", "pyarrow", "fsspec")


class RunFile:
    """Written at the start of a run and again at its end.

    A run file that says `running` while no driver is alive belongs to a driver that was killed.
    """

    def __init__(
        self,
        output: Storage,
        run_id: str,
        config: RunConfig,
        model: ModelCard,
        source: ConfigSource | None = None,
    ) -> None:
        self._output = output
        self._path = f"run/{run_id}.json"
        self._facts: dict[str, Any] = {
            "run_id": run_id,
            "started_at": utc_now(),
            "host": platform.node(),
            "model": {"name": model.name, "fingerprint": model.fingerprint},
            "versions": {"python": platform.python_version(), **package_versions(_PACKAGES)},
            "config": redacted(config),
            "config_file": None if source is None else asdict(source),
        }

    @property
    def exists(self) -> bool:
        """True if the file is in the output, or if the output cannot be asked.

        Raises nothing: it only tells two reasons for a lost lease apart.
        """
        try:
            return self._output.exists(self._path)
        except StorageError:
            return True

    def write(self, state: RunState, stats: RunStats, total: int | None, reason: str = "") -> None:
        """Write the state of the run.

        Args:
            state: the run's state.
            stats: the run's counters.
            total: rows of the manifest; None: unknown.
            reason: the cause of a failed run.

        Raises:
            StorageError: the file cannot be written.
        """
        counts = {
            "total": total,
            "completed": stats.completed,
            "failed": stats.failed,
            "skipped": stats.skipped,
            "changed": stats.changed,
            "lost_images": stats.lost_images,
            "new_values": stats.new_values,
            "left_out": stats.left_out,
            "images": stats.images,
            "flagged": stats.flagged,
            **({"extra_images": stats.extra_images} if stats.extra_images else {}),
            **({"scores": stats.scores.by_name} if stats.scores.by_name else {}),
            "failures": [asdict(example) for example in stats.failure_examples()],
        }
        timings = {"elapsed_s": stats.elapsed_s, "first_image_s": stats.first_image_s}
        document = {
            **self._facts,
            "state": state,
            "reason": reason,
            "updated_at": utc_now(),
            "counts": counts,
            "timings": timings,
            **({} if stats.replay is None else {"replay": stats.replay}),
            "caches": {kind: asdict(found) for kind, found in stats.caches.total.items()},
        }
        self._output.write(self._path, json.dumps(document, indent=2).encode())


def first_day(output: Storage) -> date | None:
    """Return the day, in UTC, of the first run of an output; None before its first run.

    Raises:
        StorageError: the output cannot be read.
    """
    days = (_RUN_FILE.fullmatch(path) for path in output.list("run"))
    first = min((found[1] for found in days if found is not None), default=None)
    if first is None:
        return None
    return datetime.strptime(first, "%Y%m%d").replace(tzinfo=timezone.utc).date()
