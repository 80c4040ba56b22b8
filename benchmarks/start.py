"""Seconds to the first image of the demo, and CPU seconds of the processes.

    python -m benchmarks.start                # this tree, three runs
    python -m benchmarks.start --tree PATH    # another one, e.g. an unpacked earlier revision

Runs `uso run` with the demo's configuration in the tree's folder, looks for the first image file,
and adds up the CPU time until then of the command and of all processes below it. Prints one JSON
line for each run, with the actors and the processes of Ray apart. Python may keep the compiled code
of the tree, as an installed package has it; the first run after a change compiles it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.against.trees import HERE
from benchmarks.process_cpu import ProcessCpu

_LOOK_S = 0.02
_GIVE_UP_S = 600


def measure(tree: Path) -> dict[str, Any]:
    """Run the demo in a tree until its first image.

    Raises:
        RuntimeError: the command ended, or took too long, without an image.
    """
    environment = {**os.environ, "PYTHONPATH": str(tree), "RAY_USAGE_STATS_ENABLED": "0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryFile() as said:
        output = Path(name) / "out"
        given = ["run", "configs/demo.yaml", "--set", f"output.path={output}"]
        began = time.monotonic()
        command = subprocess.Popen(
            [sys.executable, "-m", "jobs.cli", *given],
            cwd=tree, env=environment, stdout=said, stderr=said,
        )  # fmt: skip
        try:
            processes = ProcessCpu(command.pid)
            while not any(output.glob("images/**/*.png")):
                if command.poll() is not None or time.monotonic() > began + _GIVE_UP_S:
                    said.seek(0)
                    text = said.read().decode(errors="replace")[-2000:]
                    raise RuntimeError(f"{tree}: no image came:\n{text}")
                processes.look()
                time.sleep(_LOOK_S)
            wall_s = time.monotonic() - began
            processes.look()
        finally:
            command.terminate()
            command.wait()
    seconds = processes.by_kind
    return {"wall_s": round(wall_s, 2), "cpu_s": round(sum(seconds.values()), 2), **seconds}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tree", type=Path, default=HERE)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args(arguments)
    for _ in range(given.runs):
        print(json.dumps(measure(given.tree.resolve())), flush=True)


if __name__ == "__main__":
    main()
