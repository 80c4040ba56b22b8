"""`uso tiny`: write a small random model, for trying things out and for tests."""

from __future__ import annotations

from pathlib import Path

from jobs import exits, screen
from uso_core.errors import UsoError
from uso_core.loading.tiny import write_tiny_checkpoint


def tiny_command(folder: Path, seed: int) -> int:
    """Write a tiny checkpoint in the original's file formats into `folder`; the exit code."""
    with exits.exit_on_error(UsoError, OSError):
        write_tiny_checkpoint(folder, seed=seed)
    console = screen.out()
    where = screen.one_line(str(folder))
    console.print(f"wrote {where}: random weights, which draw noise", soft_wrap=True)
    console.print(f"use it with model.base: {where}", soft_wrap=True)
    return exits.DONE
