"""Tells if a person watches: progress bars are shown in a terminal and in a notebook only."""

from __future__ import annotations

import sys


def is_watched() -> bool:
    """Return True if stderr is a terminal, or if the code runs in a notebook."""
    return in_notebook() or sys.stderr.isatty()


def in_notebook() -> bool:
    """Return True in a cell of Jupyter or a program that uses its kernel."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config
