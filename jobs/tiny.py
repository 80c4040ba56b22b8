"""`uso tiny`: write a small random model, for trying things out and for tests."""

from __future__ import annotations

from pathlib import Path

from jobs import exits, screen
from uso_core.errors import CheckpointError
from uso_core.tiny import write_tiny_checkpoint


def tiny_command(folder: Path, seed: int) -> int:
    """Write a tiny checkpoint in the original's file formats into `folder`; the exit code."""
    with exits.exit_on(CheckpointError, OSError, code=exits.WRONG_INPUT):
        write_tiny_checkpoint(folder, seed=seed)
    console = screen.out()
    console.print(f"wrote {screen.one_line(str(folder))}: random weights, which draw noise")
    console.print(f"use it with model.base: {screen.one_line(str(folder))}")
    return exits.DONE
