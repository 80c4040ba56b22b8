"""The demo model: a small USO that was trained on a CPU, in the package. No torch."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

DEMO = "demo"
"""The `base` that stands for the demo model; a folder of that name is `./demo`."""


def demo_folder() -> Path:
    """Return the folder of its checkpoint, which is in the original's layout."""
    return Path(str(resources.files("uso_core").joinpath("data", DEMO)))
