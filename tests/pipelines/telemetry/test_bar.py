from __future__ import annotations

import pytest

from pipelines.telemetry.bar import ProgressBar
from pipelines.telemetry.snapshot import Snapshot


def test_the_bar_shows_rows_failures_and_the_wait(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar() as bar:
        bar.update(Snapshot(waiting_for="starting Ray"))
        bar.update(Snapshot(total=8, completed=3, failed=1, skipped=2))
    shown = capsys.readouterr().err
    assert "starting Ray" in shown
    assert "6/8" in shown
    assert "1 failed" in shown
