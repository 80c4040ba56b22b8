"""What is done to a running pipeline; each returns whether it came to it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from benchmarks.chaos.proxy import Kind, Request
from benchmarks.chaos.runs import wait_until_gone
from benchmarks.chaos.world import World

Fault = Callable[[World], bool]

_TRAP_S = 8.0
_DRAWING = 0.5  # of a core: an actor that uses more is drawing rather than waiting
STOP_S = 60.0  # for a driver that was asked to stop: its grace, and Ray's shutdown
HEAD_LOST_S = 90.0  # for a driver to see that the head is gone


class StuckError(Exception):
    """A driver did not end when it had to."""


def kill_fetching_actor(world: World) -> bool:
    """SIGKILL to an actor in the middle of one of its references."""
    return _kill_at(world, "fetch")


def kill_storing_actor(world: World) -> bool:
    """SIGKILL to an actor when half of an image has arrived."""
    return _kill_at(world, "store")


def kill_drawing_actor(world: World) -> bool:
    """SIGKILL to the actor that computes."""
    actor = _busiest_actor(world)
    return actor is not None and _signal(actor, signal.SIGKILL)


def hang_actor(world: World) -> bool:
    """SIGSTOP to an actor, for good: its rows become overdue."""
    actors = world.actors()
    return bool(actors) and _signal(world.random.choice(actors), signal.SIGSTOP)


def pause_actor(world: World) -> bool:
    """SIGSTOP to an actor, SIGCONT some seconds later."""
    actors = world.actors()
    if not actors:
        return False
    actor = world.random.choice(actors)
    stopped = _signal(actor, signal.SIGSTOP)
    time.sleep(world.random.uniform(1, 4))
    return _signal(actor, signal.SIGCONT) and stopped


def kill_driver(world: World) -> bool:
    """SIGKILL to the driver; with a Ray of its own, its actors have to go, too."""
    run = world.random.choice(world.alive)
    actors = world.all_actors()
    run.send(signal.SIGKILL)
    run.process.wait()
    if world.nodes is None:
        left = wait_until_gone(actors, STOP_S)
        if left:
            raise StuckError(f"outlived their driver by {STOP_S:.0f} s: {left}")
    return True


def terminate_driver(world: World) -> bool:
    """SIGTERM to the driver, as from a spot notice or `ray job stop`."""
    return _stop(world, signal.SIGTERM)


def interrupt_driver(world: World) -> bool:
    """SIGINT to the driver: Ctrl-C."""
    return _stop(world, signal.SIGINT)


def second_driver(world: World) -> bool:
    """Another driver on the same output."""
    world.start()
    return True


def s3_away(world: World) -> bool:
    """No S3 for some seconds: every connection is cut."""
    seconds = world.random.uniform(2, 6)
    world.proxy.go_away(seconds)
    time.sleep(seconds)
    return True


def kill_node(world: World) -> bool:
    """SIGKILL to all of a Ray node; another one joins some seconds later."""
    if world.nodes is None:
        return False
    world.nodes.kill_node(world.random.randrange(2))
    time.sleep(world.random.uniform(0, 3))
    world.nodes.add_missing()
    return True


def kill_head(world: World) -> bool:
    """SIGKILL to all of the Ray head: the drivers have to end by themselves."""
    if world.nodes is None:
        return False
    runs = world.alive
    world.nodes.kill_head()
    give_up_at = time.monotonic() + HEAD_LOST_S
    for run in runs:
        if not run.ends_within(give_up_at - time.monotonic()):
            raise StuckError(f"a driver outlived the Ray head by {HEAD_LOST_S:.0f} s: {run.said}")
    world.nodes.restart()
    return True


FAULTS: dict[str, Fault] = {
    "actor killed while it fetches": kill_fetching_actor,
    "actor killed while it draws": kill_drawing_actor,
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


def _kill_at(world: World, kind: Kind) -> bool:
    def spring(request: Request) -> bool:
        actor = world.actor_behind(request)
        return actor is not None and _signal(actor, signal.SIGKILL)

    world.proxy.set_trap(kind, spring)
    give_up_at = time.monotonic() + _TRAP_S
    while world.proxy.trap_is_set and time.monotonic() < give_up_at and world.alive:
        time.sleep(0.05)
    return not world.proxy.clear_trap()


def _stop(world: World, number: signal.Signals) -> bool:
    run = world.random.choice(world.alive)
    run.send(number)
    if not run.ends_within(STOP_S):
        raise StuckError(f"{number.name} did not end a driver within {STOP_S:.0f} s: {run.said}")
    return True


def _busiest_actor(world: World) -> psutil.Process | None:
    actors = world.actors()
    world.random.shuffle(actors)
    for actor in actors:
        with suppress(psutil.Error):
            if actor.cpu_percent(interval=0.1) > 100 * _DRAWING:
                return actor
    return actors[0] if actors else None


def _signal(process: psutil.Process, number: signal.Signals) -> bool:
    try:
        process.send_signal(number)
    except psutil.Error:
        return False
    return True
