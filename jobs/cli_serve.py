"""Options of `uso serve`.

The module that does a command's work is imported when it runs: `uso --help` must answer at once.
"""

from __future__ import annotations

import typer

from jobs.options import ConfigFile, Overrides


def serve(config: ConfigFile, overrides: Overrides = None) -> None:
    """Serve the APIs of WaveSpeedAI on own actors, until Ctrl-C.

    Exit codes:
    0  stopped by a signal
    2  the configuration, the database or the model cannot be used
    """
    from jobs.serve.command import serve_command

    raise typer.Exit(serve_command(config, overrides or []))
