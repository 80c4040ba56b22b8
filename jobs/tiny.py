"""`uso tiny`: writes a tiny random model, for trials and tests."""

from __future__ import annotations

from pathlib import Path

from jobs import exits, terminal
from uso_core.errors import UsoError
from uso_core.loading.tiny import write_tiny_checkpoint
from uso_core.local_path import local_path


def tiny_command(folder: Path, seed: int) -> int:
    """Write a tiny checkpoint in the original's file formats, and return the exit code."""
    folder = local_path(folder)
    with exits.exit_on_error(UsoError, OSError):
        write_tiny_checkpoint(folder, seed=seed)
    console = terminal.out()
    where = terminal.one_line(str(folder))
    console.print(f"wrote {where}: random weights, which generate noise", soft_wrap=True)
    console.print(f"use it with model.base: {where}", soft_wrap=True)
    return exits.DONE
