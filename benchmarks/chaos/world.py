"""What a round disturbs: the drivers on one output, their actors, the nodes, the proxy."""

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


class World:
    """One output and everything that works on it.

    Attributes:
        proxy: between the runs and S3.
        nodes: the cluster that the runs join; None: each run starts one of its own.
        random: of this round.
        runs: all drivers of this round so far.
        last_fault: what was done last.
        redrawn: (fault before it, path) of every image that arrived from a second process.
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
        self.redrawn: list[tuple[str, str]] = []
        self._config = config
        self._env = env
        self._kin: set[psutil.Process] = set()
        self._drawn_by: dict[str, set[int]] = {}
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
        """The drivers that have not ended."""
        return [run for run in self.runs if run.alive]

    def actors(self) -> list[psutil.Process]:
        """The actors that work on rows now."""
        return actors_among(self._processes())

    def all_actors(self) -> list[psutil.Process]:
        """The actors, those that load included."""
        return actors_among(self._processes(), busy=False)

    def actor_behind(self, request: Request) -> psutil.Process | None:
        """The actor that made a request."""
        return owner_of(request.client_port, self.actors())

    def wait_for_actors(self, within_s: float) -> bool:
        """Wait until an actor works on a row; False where the driver ends first."""
        give_up_at = time.monotonic() + within_s
        while time.monotonic() < give_up_at and self.alive:
            if self.actors():
                return True
            time.sleep(_POLL_S)
        return False

    def close(self) -> None:
        """End everything that this round started; the cluster stays."""
        self.proxy.clear_trap()
        self._processes()
        for run in self.runs:
            if run.alive:
                run.process.kill()
                run.process.wait()
        if self.nodes is None:
            end(self._kin)

    def _processes(self) -> set[psutil.Process]:
        parents = [run.pid for run in self.alive] if self.nodes is None else self.nodes.raylets
        found = descendants(parents)
        if self.nodes is None:
            self._kin |= found
            found = {process for process in self._kin if process.is_running()}
        return found

    def _note_image(self, request: Request) -> None:
        actor = self.actor_behind(request)
        pid = os.getpid() if actor is None else actor.pid
        drawn_by = self._drawn_by.setdefault(request.path, set())
        if drawn_by and pid not in drawn_by:
            self.redrawn.append((self.last_fault, request.path))
        drawn_by.add(pid)
