"""The environment of a round: the drivers on one output, their actors, the nodes, the proxy."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from benchmarks.chaos.cluster import Nodes
from benchmarks.chaos.proxy import FaultProxy, Request
from benchmarks.chaos.runs import Run, actors_among, descendants, end, owner_of

_POLL_S = 0.1


class Environment:
    """One output and everything that works on it.

    Attributes:
        proxy: the proxy between the runs and S3.
        nodes: the cluster that the runs join; None if each run starts its own Ray.
        random: random generator of this round.
        runs: all drivers of this round so far.
        last_fault: the latest fault.
        regenerated: (preceding fault, path) of every image that a second process stored.
    """

    def __init__(
        self,
        proxy: FaultProxy,
        config: Path,
        env: Mapping[str, str],
        nodes: Nodes | None,
        generator: random.Random,
    ) -> None:
        self.proxy = proxy
        self.nodes = nodes
        self.random = generator
        self.runs: list[Run] = []
        self.last_fault = ""
        self.regenerated: list[tuple[str, str]] = []
        self._config = config
        self._env = env
        self._family: set[psutil.Process] = set()
        self._generated_by: dict[str, set[int]] = {}
        proxy.on_store = self._note_image

    def start(self, *arguments: str) -> Run:
        """Start a driver on the output."""
        cluster = () if self.nodes is None else ("--set", f"ray.address={self.nodes.address}")
        log = self._config.with_name(f"{self._config.stem}-{len(self.runs)}.log")
        run = Run.start([str(self._config), *cluster, *arguments], self._env, log)
        self.runs.append(run)
        return run

    @property
    def alive(self) -> list[Run]:
        """Drivers that still run."""
        return [run for run in self.runs if run.alive]

    def actors(self) -> list[psutil.Process]:
        """Return the actors that work on rows now."""
        return actors_among(self._processes())

    def all_actors(self) -> list[psutil.Process]:
        """Return all actors, loading ones included."""
        return actors_among(self._processes(), busy=False)

    def actor_behind(self, request: Request) -> psutil.Process | None:
        """Return the actor that made a request."""
        return owner_of(request.client_port, self.actors())

    def wait_for_actors(self, within_s: float) -> bool:
        """Wait until an actor works on a row; return False if the driver ends first."""
        give_up_at = time.monotonic() + within_s
        while time.monotonic() < give_up_at and self.alive:
            if self.actors():
                return True
            time.sleep(_POLL_S)
        return False

    def close(self) -> None:
        """Stop everything that this round started; the cluster stays."""
        self.proxy.clear_trap()
        self._processes()
        for run in self.runs:
            if run.alive:
                run.process.kill()
                run.process.wait()
        if self.nodes is None:
            end(self._family)

    def _processes(self) -> set[psutil.Process]:
        parents = [run.pid for run in self.alive] if self.nodes is None else self.nodes.raylets
        found = descendants(parents)
        if self.nodes is None:
            self._family |= found
            found = {process for process in self._family if process.is_running()}
        return found

    def _note_image(self, request: Request) -> None:
        actor = self.actor_behind(request)
        pid = os.getpid() if actor is None else actor.pid
        generated_by = self._generated_by.setdefault(request.path, set())
        if generated_by and pid not in generated_by:
            self.regenerated.append((self.last_fault, request.path))
        generated_by.add(pid)
