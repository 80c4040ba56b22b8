"""A round with a driver that is suspended past its lease, while another one takes over."""

from __future__ import annotations

import random
import signal
import time
from contextlib import suppress

import psutil

from benchmarks.chaos.place import END_S, Place, Result


def paused_round(place: Place, number: int, dice: random.Random) -> Result:
    """Suspend a driver at a random moment, let another one take over, and wake the first.

    By turns, it wakes up while the other one works or after it has ended, its actors are suspended
    with it or not, and the other one generates the same images or different ones.
    """
    after_the_end, with_actors, others = number % 4 >= 2, number % 3 == 0, number % 5 < 2
    what = (
        f"{'s3' if place.options else 'disk'}, wakes up "
        f"{'after the other has ended' if after_the_end else 'while the other works'}, "
        f"{'with' if with_actors else 'without'} its actors, "
        f"{'different' if others else 'the same'} images"
    )
    violations: list[str] = []
    first = place.start()
    if not place.wait_for_parts(first, more_than=0):
        return place.result("paused", what, [f"it ended too early: {first.printed}"])
    time.sleep(dice.uniform(0, 0.8))
    suspended = [psutil.Process(first.pid), *(place.actors() if with_actors else ())]
    _send(suspended, signal.SIGSTOP)
    parts = place.parts()
    second = place.start(*(("--set", "defaults.guidance=2.5") if others else ()))
    if after_the_end:
        second.ends_within(END_S)
    else:
        place.wait_for_parts(second, more_than=parts + 1)  # the fence is one
        time.sleep(dice.uniform(0, 0.5))
    _send(suspended, signal.SIGCONT)
    for run, code in ((first, 1), (second, 0)):
        if run.ends_within(END_S) and run.process.returncode != code:
            violations.append(f"{run.log.name} ended with {run.process.returncode}: {run.printed}")
    if "taken over" not in first.printed:
        violations.append(f"the first driver does not name the cause: {first.printed}")
    return place.result("paused", what, violations)


def _send(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
