"""A Ray cluster of several nodes on one machine, whose nodes can be killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

import psutil
from ray._private import ray_constants
from ray._private.node import Node
from ray.cluster_utils import Cluster
from tenacity import Retrying, stop_after_attempt

from benchmarks.chaos.runs import descendants, end

_STORE_BYTES = 80 * 2**20
_NODES = 2
_ATTEMPTS = 3


class Nodes:
    """A head that runs no actors, and two nodes for one actor each."""

    def __init__(self) -> None:
        self._cluster = self._start()

    @property
    def address(self) -> str:
        """Value for `ray.address`."""
        return str(self._cluster.address)

    @property
    def raylets(self) -> list[int]:
        """Pids of the processes whose descendants include the actors."""
        return [pid for node in self._workers() for pid in _pids(node, "raylet")]

    @property
    def _head(self) -> Node:
        return cast(Node, self._cluster.head_node)  # mypy infers None

    def kill_node(self, number: int) -> None:
        """Send SIGKILL to all processes of one node."""
        workers = self._workers()
        node = workers[number % len(workers)]
        _kill(node)
        self._cluster.worker_nodes.discard(node)

    def add_missing(self) -> None:
        """Replace killed nodes."""
        while len(self._cluster.worker_nodes) < _NODES:
            self._add_node(self._cluster, num_cpus=1)

    def kill_head(self) -> None:
        """Send SIGKILL to all processes of the head; the nodes with the actors stay."""
        _kill(self._head)

    def restart(self) -> None:
        """Stop the remaining processes and start a new cluster."""
        self.close()
        self._cluster = self._start()

    def close(self) -> None:
        """Stop all nodes."""
        for node in [*self._workers(), self._head]:
            _kill(node)
        self._cluster.worker_nodes.clear()

    @classmethod
    def _start(cls) -> Cluster:
        cluster = Cluster()
        cls._add_node(cluster, num_cpus=0, include_dashboard=False)
        for _ in range(_NODES):
            cls._add_node(cluster, num_cpus=1)
        return cluster

    @staticmethod
    def _add_node(cluster: Cluster, **arguments: int) -> None:
        # On a busy machine, a node may take longer than the 30 s that Ray waits for it.
        Retrying(stop=stop_after_attempt(_ATTEMPTS), reraise=True)(
            cluster.add_node,
            object_store_memory=_STORE_BYTES,
            **arguments,
        )

    def _workers(self) -> list[Node]:
        nodes: list[Node] = sorted(
            self._cluster.worker_nodes, key=lambda node: _pids(node, "raylet")
        )
        return nodes


@contextmanager
def nodes() -> Iterator[Nodes]:
    """Provide a cluster inside the block."""
    cluster = Nodes()
    try:
        yield cluster
    finally:
        cluster.close()


def _pids(node: Node, kind: str | None = None) -> list[int]:
    return [
        info.process.pid
        for name, infos in node.all_processes.items()
        if kind is None or name == kind
        for info in infos
        if name != ray_constants.PROCESS_TYPE_REAPER
    ]


def _kill(node: Node) -> None:
    """Kill all processes at once, as if the machine failed; then update Ray's own bookkeeping."""
    pids = _pids(node)
    below = descendants(pids)
    for pid in pids:
        with suppress(psutil.Error):
            psutil.Process(pid).send_signal(signal.SIGKILL)
    end(below)
    node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
