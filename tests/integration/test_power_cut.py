"""The machine of a server loses power: every task that was accepted is in the database."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from tests.power_cut import Disk, calls_of

TASKS = 300  # enough for SQLite to move its log into the database in between
CUTS = 16
ACCEPT = """
import asyncio, os, random, sys
from jobs.serve.store.database import open_database
from jobs.serve.store.tasks import TaskStore
from tests.jobs.serve.test_tasks import new
if len(sys.argv) > 3:
    os.fdatasync = lambda file: None
async def accept():
    async with open_database(sys.argv[1]) as database:
        store = TaskStore(database)
        async def some(number):
            for _ in range(number):
                await asyncio.sleep(random.random() / 50)  # so that syncs overlap
                print((await store.add(new())).id, flush=True)
        await asyncio.gather(*(some(int(sys.argv[2]) // 4) for _ in range(4)))
asyncio.run(accept())
"""


def losses(folder: Path, tasks: int = TASKS, *weaker: str) -> list[str]:
    """Cut the power after some of the answers; return a description of each loss.

    Args:
        folder: for the files.
        tasks: number of tasks.
        weaker: anything: the log is not synced after a commit.
    """
    disk, dice, lost = Disk(folder / "state"), random.Random(5), []
    database = str(folder / "state" / "uso.db")
    calls = calls_of(ACCEPT, folder / "calls", database, str(tasks), *weaker)
    at = set(dice.sample(range(1, tasks + 1), CUTS))
    for name, rest in calls:
        if not disk.apply(name, rest) or len(disk.printed) not in at:
            continue
        for share in (0.0, 0.5, 1.0):
            disk.cut(folder / "cut", dice, share)
            fault = fault_of(folder / "cut" / "uso.db", disk.printed)
            if fault:
                lost.append(f"{len(disk.printed)} accepted, {share:.0%} written: {fault}")
    assert len(disk.printed) == tasks
    return lost


def fault_of(database: Path, accepted: list[str]) -> str:
    try:
        with sqlite3.connect(database) as connection:
            found = {row[0] for row in connection.execute("SELECT id FROM tasks")}
            ((verdict,),) = connection.execute("PRAGMA integrity_check")
    except sqlite3.DatabaseError as error:
        return str(error)
    finally:
        connection.close()
    missing = len(set(accepted) - found)
    return "" if verdict == "ok" and not missing else f"{verdict}, {missing} tasks are missing"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_power_cut_loses_no_accepted_task(tmp_path: Path) -> None:
    assert losses(tmp_path) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_model_shows_what_less_syncing_loses(tmp_path: Path) -> None:
    assert losses(tmp_path, 40, "weaker")
