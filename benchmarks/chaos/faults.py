"""Faults for a running pipeline; each returns True if it took effect."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from benchmarks.chaos.environment import Environment
from benchmarks.chaos.proxy import Kind, Request
from benchmarks.chaos.runs import wait_until_gone

Fault = Callable[[Environment], bool]

_TRAP_S = 8.0
_BUSY_CORES = 0.5  # an actor that uses more is computing, not waiting
STOP_S = 60.0  # for a driver to stop on request: its grace period, and Ray's shutdown
HEAD_LOST_S = 90.0  # for a driver to notice that the head is gone


class StuckError(Exception):
    """A driver did not end when it should have."""


def kill_fetching_actor(environment: Environment) -> bool:
    """Send SIGKILL to an actor in the middle of reading a reference."""
    return _kill_at(environment, "fetch")


def kill_storing_actor(environment: Environment) -> bool:
    """Send SIGKILL to an actor when half of an image has arrived."""
    return _kill_at(environment, "store")


def kill_generating_actor(environment: Environment) -> bool:
    """Send SIGKILL to an actor that is computing."""
    actor = _busiest_actor(environment)
    return actor is not None and _signal(actor, signal.SIGKILL)


def hang_actor(environment: Environment) -> bool:
    """Send SIGSTOP to an actor and never resume it: its rows become overdue."""
    actors = environment.actors()
    return bool(actors) and _signal(environment.random.choice(actors), signal.SIGSTOP)


def pause_actor(environment: Environment) -> bool:
    """Send SIGSTOP to an actor, and SIGCONT some seconds later."""
    actors = environment.actors()
    if not actors:
        return False
    actor = environment.random.choice(actors)
    stopped = _signal(actor, signal.SIGSTOP)
    time.sleep(environment.random.uniform(1, 4))
    return _signal(actor, signal.SIGCONT) and stopped


def kill_driver(environment: Environment) -> bool:
    """Send SIGKILL to the driver; if it started Ray itself, its actors must end as well."""
    run = environment.random.choice(environment.alive)
    actors = environment.all_actors()
    run.send(signal.SIGKILL)
    run.process.wait()
    if environment.nodes is None:
        left = wait_until_gone(actors, STOP_S)
        if left:
            raise StuckError(f"outlived their driver by {STOP_S:.0f} s: {left}")
    return True


def terminate_driver(environment: Environment) -> bool:
    """Send SIGTERM to the driver, like a spot notice or `ray job stop`."""
    return _stop(environment, signal.SIGTERM)


def interrupt_driver(environment: Environment) -> bool:
    """Send SIGINT to the driver, like Ctrl-C."""
    return _stop(environment, signal.SIGINT)


def second_driver(environment: Environment) -> bool:
    """Start another driver on the same output."""
    environment.start()
    return True


def s3_away(environment: Environment) -> bool:
    """Cut every connection to S3 for some seconds."""
    seconds = environment.random.uniform(2, 6)
    environment.proxy.go_away(seconds)
    time.sleep(seconds)
    return True


def kill_node(environment: Environment) -> bool:
    """Send SIGKILL to all processes of a Ray node; another one joins some seconds later."""
    if environment.nodes is None:
        return False
    environment.nodes.kill_node(environment.random.randrange(2))
    time.sleep(environment.random.uniform(0, 3))
    environment.nodes.add_missing()
    return True


def kill_head(environment: Environment) -> bool:
    """Send SIGKILL to all processes of the Ray head; the drivers must end by themselves."""
    if environment.nodes is None:
        return False
    runs = environment.alive
    environment.nodes.kill_head()
    give_up_at = time.monotonic() + HEAD_LOST_S
    for run in runs:
        if not run.ends_within(give_up_at - time.monotonic()):
            raise StuckError(
                f"a driver outlived the Ray head by {HEAD_LOST_S:.0f} s: {run.printed}"
            )
    environment.nodes.restart()
    return True


FAULTS: dict[str, Fault] = {
    "actor killed while it fetches": kill_fetching_actor,
    "actor killed while it generates": kill_generating_actor,
    "actor killed while it stores": kill_storing_actor,
    "actor hangs": hang_actor,
    "actor paused": pause_actor,
    "driver killed": kill_driver,
    "driver gets SIGTERM": terminate_driver,
    "driver gets SIGINT": interrupt_driver,
    "second driver started": second_driver,
    "S3 away for seconds": s3_away,
    "Ray node killed": kill_node,
    "Ray head killed": kill_head,
}
KILLS = frozenset(name for name in FAULTS if "killed" in name)
ON_NODES = frozenset({"Ray node killed", "Ray head killed"})


def _kill_at(environment: Environment, kind: Kind) -> bool:
    def spring(request: Request) -> bool:
        actor = environment.actor_behind(request)
        return actor is not None and _signal(actor, signal.SIGKILL)

    environment.proxy.set_trap(kind, spring)
    give_up_at = time.monotonic() + _TRAP_S
    while environment.proxy.trap_is_set and time.monotonic() < give_up_at and environment.alive:
        time.sleep(0.05)
    return not environment.proxy.clear_trap()


def _stop(environment: Environment, number: signal.Signals) -> bool:
    run = environment.random.choice(environment.alive)
    run.send(number)
    if not run.ends_within(STOP_S):
        raise StuckError(f"{number.name} did not end a driver within {STOP_S:.0f} s: {run.printed}")
    return True


def _busiest_actor(environment: Environment) -> psutil.Process | None:
    actors = environment.actors()
    environment.random.shuffle(actors)
    for actor in actors:
        with suppress(psutil.Error):
            if actor.cpu_percent(interval=0.1) > 100 * _BUSY_CORES:
                return actor
    return actors[0] if actors else None


def _signal(process: psutil.Process, number: signal.Signals) -> bool:
    try:
        process.send_signal(number)
    except psutil.Error:
        return False
    return True
