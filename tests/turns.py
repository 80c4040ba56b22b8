"""Hooks for pytest: the order of tests, and no other test beside one that measures time.

The workers of a run are processes, so they agree through two locked files. Each test holds
`running` while it runs: a test marked `alone` as the only holder, any other test together with the
rest. To get there, it passes through `gate`, which a test marked `alone` keeps closed from the
moment it waits. Otherwise the other workers could start one test after another for ever.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_SH, LOCK_UN, flock
from pathlib import Path
from typing import Any

import pytest
from xdist.workermanage import WorkerController

_KEY = "folder_of_turns"  # in the values that the controller sends to its workers
_FOLDER = pytest.StashKey[str]()


def pytest_configure_node(node: WorkerController) -> None:
    """Give all workers of a run one folder for the two files."""
    config = node.config
    if _FOLDER not in config.stash:
        folder = tempfile.TemporaryDirectory(prefix="uso-turns")
        config.add_cleanup(folder.cleanup)
        config.stash[_FOLDER] = folder.name
    node.workerinput[_KEY] = config.stash[_FOLDER]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that start Ray behind all others, which they would slow, and `alone` at the end."""
    items.sort(key=lambda item: _is_marked(item, "ray") + 2 * _is_marked(item, "alone"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool, bool]:
    """Run a test in its turn. The wait is not part of its duration, nor of its time limit."""
    worker: dict[str, Any] | None = getattr(item.config, "workerinput", None)
    if worker is None:
        return (yield)
    with turn(Path(worker[_KEY]), alone=_is_marked(item, "alone")):
        return (yield)


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Wait until a test may run, and let it run inside.

    Args:
        folder: shared by all workers of the run.
        alone: no other test may run meanwhile.
    """
    with (folder / "gate").open("a") as gate, (folder / "running").open("a") as running:
        flock(gate, LOCK_EX)
        flock(running, LOCK_EX if alone else LOCK_SH)
        if not alone:
            flock(gate, LOCK_UN)
        try:
            yield
        finally:
            # Closing a file keeps its lock where a process that a test has forked has it open.
            flock(running, LOCK_UN)
            flock(gate, LOCK_UN)


def _is_marked(item: pytest.Item, mark: str) -> bool:
    return item.get_closest_marker(mark) is not None
