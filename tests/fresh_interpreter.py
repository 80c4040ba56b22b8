"""Code in an interpreter of its own, and the modules that it loads."""

from __future__ import annotations

import subprocess
import sys


def loaded_after(statement: str) -> set[str]:
    """Return the top-level modules that are loaded after `statement`."""
    listing = "import sys\nprint(*{name.split('.')[0] for name in sys.modules})"
    return set(printed_by(f"{statement}\n{listing}").splitlines()[-1].split())


def printed_by(code: str) -> str:
    """Return what `code` prints."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ran.stdout
