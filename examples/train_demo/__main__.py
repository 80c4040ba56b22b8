"""Trains the demo model on one CPU core and exports it: python -m examples.train_demo OUT.

It needs scikit-image, for its photographs. If a run is interrupted, give the command again, and it
continues from its last checkpoint. OUT gets checkpoints and grids of samples; OUT/demo gets the
model, in the original's file formats.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from examples.train_demo.run import STAGES, Run, Scale


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.train_demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="OUT", help="a folder; created if missing")
    parser.add_argument("--minutes", type=float, default=120, help="CPU minutes in all (120)")
    parser.add_argument("--start-from", type=Path, metavar="MODEL", help="an exported model")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only this; repeatable")
    options = parser.parse_args()
    run = Run(options.folder, Scale(), start_from=options.start_from)
    for stage in options.stage or STAGES:
        run.stage(stage, options.minutes)


if __name__ == "__main__":
    main()
