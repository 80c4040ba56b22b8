from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from tests.turns import turn

ROOT = Path(__file__).parent.parent
WAIT_S = 30

CONFTEST = """
from tests.turns import pytest_collection_modifyitems
from tests.turns import pytest_configure_node
from tests.turns import pytest_runtest_protocol
"""

TESTS = """
import os, time
from pathlib import Path
import pytest

LOG = Path(os.environ["LOG"])

@pytest.fixture(autouse=True)
def logged(request):
    with LOG.open("a", buffering=1) as log:
        log.write(f"begin {request.node.name}\\n")
        yield
        log.write(f"end {request.node.name}\\n")

@pytest.mark.parametrize("n", range(4))
def test_beside_others(n):
    time.sleep(0.05)
"""

ALONE = """
import time
import pytest
from test_a import logged

@pytest.mark.alone
def test_alone():
    time.sleep(0.3)
"""


def test_tests_run_beside_each_other(tmp_path: Path) -> None:
    with turn(tmp_path, alone=False), turn(tmp_path, alone=False):
        pass


def test_one_that_must_be_alone_waits_for_the_others_and_keeps_new_ones_out(tmp_path: Path) -> None:
    seen: list[str] = []
    begun = {name: threading.Event() for name in ("alone", "later")}
    end_alone = threading.Event()

    def run(name: str, until: threading.Event | None) -> None:
        with turn(tmp_path, alone=name == "alone"):
            seen.append(name)
            begun[name].set()
            if until is not None:
                until.wait(WAIT_S)
            seen.append(f"{name} ended")

    threads = [
        threading.Thread(target=run, args=("alone", end_alone)),
        threading.Thread(target=run, args=("later", None)),
    ]
    with turn(tmp_path, alone=False):
        threads[0].start()
        assert not begun["alone"].wait(0.1)
        seen.append("earlier ended")
    assert begun["alone"].wait(WAIT_S)
    threads[1].start()
    assert not begun["later"].wait(0.1)
    end_alone.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert seen == ["earlier ended", "alone", "alone ended", "later", "later ended"]


def test_nothing_runs_beside_a_marked_test_of_a_real_run(tmp_path: Path) -> None:
    for name in ("test_a.py", "test_b.py", "test_c.py"):
        (tmp_path / name).write_text(TESTS)
    (tmp_path / "test_0_alone.py").write_text(ALONE)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = alone\n")
    log = tmp_path / "log"
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile"]
    ran = subprocess.run(
        [*command, "--no-loadscope-reorder"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LOG": str(log)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = log.read_text().splitlines()
    begin = lines.index("begin test_alone")
    assert lines[begin + 1] == "end test_alone"
    assert len([line for line in lines[:begin] if line.startswith("begin")]) == len(
        [line for line in lines[:begin] if line.startswith("end")]
    )
    assert begin >= 12  # six tests have run: it comes late, though its file is the first
