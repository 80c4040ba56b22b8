"""The job server of a Ray cluster, spoken to through Ray's own client."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from jobs.cluster.job import Job, job_of, jobs_named
from pipelines.errors import PipelineError
from pipelines.on_ray.head_watch import knock
from pipelines.storage.urls import redact_uri

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported

from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient, JobType
from ray.util.state import StateApiClient
from ray.util.state.common import ListApiOptions, NodeState, StateResource
from ray.util.state.exception import RayStateApiException

_KNOCK_S = 10
_RECONNECT_S = 1
_NODES_S = 5
_NODES_EVERY_S = 0.25
_CHATTY = ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk")
_PORTS = {"http": 80, "https": 443}


class JobServerError(PipelineError):
    """The job server does not answer, refuses, or has no such job; the message gives the remedy."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Submission:
    """What a job is.

    Attributes:
        job_id: unique on the cluster.
        entrypoint: a shell command, run where the package was unpacked.
        package: a zip file that every process of the job gets as its working folder.
        env: environment variables of every process of the job.
        pip: requirements that are installed for the job; empty: what the nodes have is used.
        metadata: kept with the job, and shown to everyone who can reach the server.
    """

    job_id: str
    entrypoint: str
    package: Path
    env: Mapping[str, str]
    pip: tuple[str, ...]
    metadata: Mapping[str, str]


class JobServer:
    """A job server that has answered."""

    def __init__(self, address: str) -> None:
        """Connect.

        Args:
            address: `http://host:port` (or https) of the cluster's dashboard.

        Raises:
            JobServerError: it is no such address, nothing answers there, or a token is missing.
        """
        self.address = address.rstrip("/")
        self._headers = _token_header()
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        with self._asked():
            _check_answers(self.address)
            os.environ["RAY_API_SERVER_ADDRESS"] = self.address  # Ray puts it before its argument
            self._client = JobSubmissionClient(self.address, headers=dict(self._headers))

    def submit(self, submission: Submission) -> None:
        """Upload the package and start the job.

        Raises:
            JobServerError: the server does not take it.
        """
        runtime_env: dict[str, Any] = {
            "working_dir": str(submission.package),
            "env_vars": dict(submission.env),
        }
        if submission.pip:
            runtime_env["pip"] = list(submission.pip)
        with self._asked():
            self._client.submit_job(
                entrypoint=submission.entrypoint,
                submission_id=submission.job_id,
                runtime_env=runtime_env,
                metadata=dict(submission.metadata),
            )

    def jobs(self) -> list[Job]:
        """All submitted jobs that the cluster remembers, oldest first.

        Raises:
            JobServerError: the server does not answer.
        """
        with self._asked():
            found = self._client.list_jobs()
        jobs = [job_of(details) for details in found if details.type == JobType.SUBMISSION]
        return sorted(jobs, key=lambda job: (job.started_at is None, job.started_at, job.id))

    def job(self, name: str) -> Job:
        """One job, by its id or the beginning of it (see `jobs_named`).

        Raises:
            JobServerError: there is no such job, or more than one; or the server does not answer.
        """
        jobs = self.jobs()
        found = jobs_named(jobs, name)
        if len(found) == 1:
            return found[0]
        ids = ", ".join(job.id for job in (found or jobs)[-5:]) or "none"
        if found:
            raise JobServerError(
                f"{self._shown}: several jobs that have not ended begin with {name!r}: {ids}; give "
                "more of the name"
            )
        raise JobServerError(f"{self._shown}: there is no job {name!r}; the last ones: {ids}")

    def stop(self, job_id: str) -> None:
        """Ask a job to end: SIGTERM now, SIGKILL when its time to stop is over; does not wait.

        Raises:
            JobServerError: the server does not answer.
        """
        with self._asked():
            self._client.stop_job(job_id)

    def log(self, job_id: str) -> str:
        """What a job has printed so far.

        Raises:
            JobServerError: the server does not answer.
        """
        with self._asked():
            return self._client.get_job_logs(job_id)

    async def follow(self, job_id: str) -> AsyncIterator[str]:
        """What a job prints, from the beginning, until it ends; a cut connection is made anew.

        Raises:
            JobServerError: the server does not answer any more.
        """
        shown = 0
        while True:
            seen = 0
            # Whatever cut the connection: the job's state says whether there is more to come.
            with suppress(RuntimeError, aiohttp.ClientError):
                async for text in self._client.tail_job_logs(job_id):
                    new = text[max(0, shown - seen) :]
                    seen += len(text)
                    shown = max(shown, seen)
                    if new:
                        yield new
            if self.job(job_id).ended:
                return
            await asyncio.sleep(_RECONNECT_S)

    def on_this_machine(self) -> bool:
        """Whether all nodes of the cluster are this machine, so that its files are here.

        False where that cannot be told. An address such as localhost says nothing: it may be a
        port that is forwarded.
        """
        # A cluster that is just up takes jobs a moment before it tells its nodes.
        until_told = Retrying(
            retry=retry_if_result(lambda nodes: not nodes),
            wait=wait_fixed(_NODES_EVERY_S),
            stop=stop_after_delay(_NODES_S),
            retry_error_callback=lambda _: set[str](),
        )
        nodes: set[str] = until_told(self._nodes)
        own = {address.address for of in psutil.net_if_addrs().values() for address in of}
        return bool(nodes) and nodes <= own

    def _nodes(self) -> set[str]:
        """The addresses of the nodes that are alive; empty where that cannot be told."""
        client = StateApiClient(address=self.address, headers=dict(self._headers))
        options = ListApiOptions(filters=[("state", "=", "ALIVE")])
        try:
            found = client.list(StateResource.NODES, options, raise_on_missing_output=False)
        except (RayStateApiException, OSError):
            return set()
        return {node.node_ip for node in found if isinstance(node, NodeState)}

    @property
    def _shown(self) -> str:
        return redact_uri(self.address)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Everything that Ray's client raises, as the one error of this module."""
        try:
            yield
        except AuthenticationError as error:
            raise JobServerError(
                f"{self._shown}: the cluster wants its token; set RAY_AUTH_TOKEN to it, or "
                "RAY_AUTH_TOKEN_PATH to a file that holds it (by default ~/.ray/auth_token)"
            ) from error
        except OSError as error:  # of sockets, and all errors of requests
            raise JobServerError(
                f"{self._shown}: no job server answers there ({type(error).__name__}); check "
                "--address, the tunnel or port-forward to it, and that the cluster is up"
            ) from error
        except RuntimeError as error:  # what Ray raises for every answer other than 200
            raise JobServerError(f"{self._shown}: {error}") from error


def _check_answers(address: str) -> None:
    """Ray's client has no time-out of its own."""
    advice = f"--address {redact_uri(address)!r}: give a URL such as http://127.0.0.1:8265"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise JobServerError(f"{advice} ({error})") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise JobServerError(advice)
    knock(f"{parts.hostname}:{port or _PORTS[parts.scheme]}", _KNOCK_S)


def _token_header() -> Mapping[str, str]:
    """The cluster's token, from where Ray's own commands look for it."""
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return {}
    token = os.environ.get("RAY_AUTH_TOKEN", "").strip()
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser()
    if not token and path.is_file():
        token = path.read_text(encoding="utf-8").strip()
    return {"Authorization": f"Bearer {token}"} if token else {}
