"""Freed memory goes back to the system, or stays for the next buffers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Arrays smaller than 32 MB, up to which glibc raises its threshold. Every other one is freed.
_PROGRAM = """
import psutil, numpy
from jobs.heap import keep_freed_buffers, keep_heap_compact
{call}
for megabytes in range(1, 31):  # teaches glibc to keep large buffers in its heap
    numpy.ones(megabytes << 20, numpy.uint8)
held = [numpy.ones(1 << 20, numpy.uint8) for _ in range(200)]
before = psutil.Process().memory_info().rss
del held[::2]
print((before - psutil.Process().memory_info().rss) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
@pytest.mark.parametrize(
    ("call", "least", "most"),
    [
        ("keep_heap_compact()", 95, 105),
        ("", -5, 20),
        ("keep_heap_compact(); keep_freed_buffers()", -5, 20),
    ],
    ids=["on", "off", "off again"],
)
def test_freed_arrays_go_back_to_the_system(call: str, least: int, most: int) -> None:
    program = [sys.executable, "-c", _PROGRAM.format(call=call)]
    freed_mb = int(subprocess.run(program, check=True, capture_output=True, text=True).stdout)

    assert least <= freed_mb <= most


def test_a_driver_looks_for_garbage_seldom_and_a_process_with_a_model_as_always(
    tmp_path: Path,
) -> None:
    program = (
        "import gc, sys\n"
        "from pathlib import Path\n"
        "from jobs.run import run_config\n"
        "from pipelines.config.schema import RunConfig\n"
        "given = {'manifest': {'path': 'none'}, 'output': {'path': sys.argv[2]},\n"
        "         'model': {'base': 'tiny'}, 'stylize': {'gpus_per_actor': 0},\n"
        "         'ray': {'address': sys.argv[1]}}\n"
        "try:\n"
        "    run_config(RunConfig.model_validate(given))\n"
        "finally:\n"
        "    print(gc.get_threshold()[0])"
    )

    def threshold(address: str, output: Path) -> int:
        command = [sys.executable, "-c", program, address, str(output)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "none: does not exist" in ran.stderr, ran.stderr
        return int(ran.stdout)

    assert threshold("local", tmp_path / "a") > 20 * threshold("none", tmp_path / "b")
