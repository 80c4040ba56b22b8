"""Options of `uso serve` and `uso keys`.

The module that does a command's work is imported when it runs: `uso --help` must answer at once.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated, Literal

import typer

from jobs.options import AsJson, ConfigFile, Overrides


def serve(config: ConfigFile, overrides: Overrides = None) -> None:
    """Serve the APIs of WaveSpeedAI, inference.sh and OpenAI on own actors, until Ctrl-C.

    Exit codes:
    0  stopped by a signal
    2  the configuration, the database or the model cannot be used
    """
    gc.disable()  # the imports make many objects and drop few: a seventh of their time is saved
    try:
        from jobs.serve.command import serve_command
    finally:
        gc.freeze()  # no later collection looks at them
        gc.enable()

    raise typer.Exit(serve_command(config, overrides or []))


keys = typer.Typer(
    no_args_is_help=True,
    help="Create, list and revoke the API keys of a server; make a test key that signs images.",
)


_Algorithm = Literal["es256", "es384", "es512", "ps256", "ed25519"]
_Most = Annotated[int | None, typer.Option(min=1, show_default="no limit")]


@keys.command()
def create(
    config: ConfigFile,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name for lists and logs.")],
    submits_per_min: _Most = None,
    queued: _Most = None,
    at_work: _Most = None,
    streams: _Most = None,
    stored_mb: _Most = None,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch",
            help="Allow `uso run --through`: its holder reads and writes what the actors can.",
        ),
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Create a key and print its secret, which is not kept."""
    from jobs.serve.keys_command import create_command
    from jobs.serve.store.keys import KeyLimits

    limits = KeyLimits(
        submits_per_min=submits_per_min,
        queued=queued,
        at_work=at_work,
        streams=streams,
        stored_mb=stored_mb,
        batch=batch,
    )
    raise typer.Exit(create_command(config, overrides or [], name, limits))


@keys.command("list")
def list_keys(config: ConfigFile, as_json: AsJson = False, overrides: Overrides = None) -> None:
    """List the keys without their secrets."""
    from jobs.serve.keys_command import list_command

    raise typer.Exit(list_command(config, overrides or [], as_json=as_json))


@keys.command()
def revoke(
    config: ConfigFile,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A name, an id or the first letters.")],
    overrides: Overrides = None,
) -> None:
    """End a key at once."""
    from jobs.serve.keys_command import revoke_command

    raise typer.Exit(revoke_command(config, overrides or [], key))


@keys.command("test-ca")
def make_test_ca(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder for the files.")],
    algorithm: Annotated[
        _Algorithm, typer.Option(help="The signature algorithm, in the words of C2PA.")
    ] = "es256",
) -> None:
    """Make a test certificate that signs images, with its key and its root.

    For output.provenance, see docs/provenance.md. All names in the certificates say TEST.

    Exit codes:
    0  made
    2  the files exist, or cannot be written
    """
    from jobs.trial_certificate import test_ca_command

    raise typer.Exit(test_ca_command(folder, algorithm))
