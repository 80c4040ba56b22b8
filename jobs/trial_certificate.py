"""`uso keys test-ca`: makes a certificate for trying signatures out."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from jobs import exits, terminal
from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.provenance.trial_ca import Algorithm


def test_ca_command(folder: Path, algorithm: Algorithm) -> int:
    """Make the files, print the configuration that names them, and return the exit code."""
    with exits.exit_on_error():
        if find_spec("cryptography") is None:
            raise ConfigError("this needs the extra c2pa: pip install 'uso-batch[c2pa]'")
        from pipelines.provenance.trial_ca import make_test_certificate  # noqa: PLC0415

        made = make_test_certificate(folder, algorithm)
    out = terminal.out()
    out.print("output:\n  provenance:\n    c2pa: true")
    out.print(f"    certificate: {made.certificate}\n    key: {made.key}", soft_wrap=True)
    terminal.err().print(
        f"a TEST certificate: readers trust it only if they are given {made.root}; keep "
        f"{made.key} to yourself",
        soft_wrap=True,
    )
    return exits.DONE
