"""`python -m tests.fuzz [SECONDS]`: runs the fuzz tests repeatedly, each round with a new seed.

Every round is a process of its own, so that a crash inside a native decoder is detected. At the
end, prints the number of examples by test; the exit code is 1 if a round failed, and its seed is
shown.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

_ROUND_S = 900  # a longer round hangs


def main() -> int:
    """Run the fuzz tests for some time; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=600)
    seconds = parser.parse_args().seconds
    started = time.monotonic()
    rounds = 0
    with tempfile.TemporaryDirectory(prefix="uso-fuzz-") as folder:
        counts = Path(folder) / "counts"
        while time.monotonic() - started < seconds:
            rounds += 1
            seed = secrets.randbelow(2**32)
            if (code := _round(seed, counts)) != 0:
                print(f"round {rounds} ended with exit code {code}; its --hypothesis-seed: {seed}")
                return 1
        elapsed = time.monotonic() - started
        _report(counts, rounds, elapsed)
    return 0


def _round(seed: int, counts: Path) -> int:
    command = [sys.executable, "-X", "faulthandler", "-m", "pytest", "tests/fuzz", "-q"]
    command += [f"--hypothesis-seed={seed}", f"--timeout={_ROUND_S}", "-p", "no:cacheprovider"]
    environment = {**os.environ, "USO_FUZZ": "long", "USO_FUZZ_COUNTS": str(counts)}
    return subprocess.run(command, env=environment, timeout=2 * _ROUND_S, check=False).returncode


def _report(counts: Path, rounds: int, elapsed: float) -> None:
    total: Counter[str] = Counter()
    for line in counts.read_text(encoding="utf-8").splitlines():
        total.update(json.loads(line))
    print(f"\n{rounds} rounds, {elapsed:.0f} s, {total.total():,} examples, none failed")
    for name, examples in sorted(total.items()):
        print(f"  {examples:>9,}  {name}")


if __name__ == "__main__":
    sys.exit(main())
