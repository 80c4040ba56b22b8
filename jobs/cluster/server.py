"""Access to the job server of a Ray cluster through Ray's client."""

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

from uso_core.local_path import local_path

_KNOCK_S = 10
_RECONNECT_S = 1
_NODES_S = 5
_NODES_EVERY_S = 0.25
_CHATTY = ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk")
_PORTS = {"http": 80, "https": 443}


class JobServerError(PipelineError):
    """The job server does not answer, rejects a request, or does not know the job."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Submission:
    """A Ray job to submit.

    Attributes:
        job_id: an id that is unique on the cluster.
        entrypoint: a shell command, run in the unpacked package.
        package: a zip file; unpacked, it is the working folder of every process of the job.
        env: the environment variables of every process of the job.
        pip: requirements to install for the job; empty: the packages on the nodes are used.
        metadata: keys and values that everyone who can reach the server can read.
    """

    job_id: str
    entrypoint: str
    package: Path
    env: Mapping[str, str]
    pip: tuple[str, ...]
    metadata: Mapping[str, str]


class JobServer:
    """A connection to a job server."""

    def __init__(self, address: str) -> None:
        """Connect.

        Args:
            address: the URL of the cluster's dashboard, `http://host:port` or https.

        Raises:
            JobServerError: it is not a URL, nothing answers there, or a token is missing.
        """
        self.address = address.rstrip("/")
        self._headers = _token_header()
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        with self._asked():
            _check_answers(self.address)
            os.environ["RAY_API_SERVER_ADDRESS"] = self.address  # Ray prefers it to the argument
            self._client = JobSubmissionClient(self.address, headers=dict(self._headers))

    def submit(self, submission: Submission) -> None:
        """Upload the package and start the job.

        Raises:
            JobServerError: the server rejects the job or does not answer.
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
        """Return all submitted jobs that the cluster remembers, oldest first.

        Raises:
            JobServerError: the server does not answer.
        """
        with self._asked():
            found = self._client.list_jobs()
        jobs = [job_of(details) for details in found if details.type == JobType.SUBMISSION]
        return sorted(jobs, key=lambda job: (job.started_at is None, job.started_at, job.id))

    def job(self, name: str) -> Job:
        """Return a job by its id or the beginning of it (see `jobs_named`).

        Raises:
            JobServerError: no job or several jobs match, or the server does not answer.
        """
        jobs = self.jobs()
        found = jobs_named(jobs, name)
        if len(found) == 1:
            return found[0]
        ids = ", ".join(job.id for job in (found or jobs)[-5:]) or "none"
        if found:
            raise JobServerError(
                f"{self._shown}: the names of several active jobs begin with {name!r}: {ids}; give "
                "more of the name"
            )
        raise JobServerError(f"{self._shown}: there is no job {name!r}; the last ones: {ids}")

    def stop(self, job_id: str) -> None:
        """Send a job SIGTERM, and SIGKILL once its time to stop is over. Does not wait.

        Raises:
            JobServerError: the server does not answer.
        """
        with self._asked():
            self._client.stop_job(job_id)

    def log(self, job_id: str) -> str:
        """Return the output of a job so far.

        Raises:
            JobServerError: the server does not answer.
        """
        with self._asked():
            return self._client.get_job_logs(job_id)

    async def follow(self, job_id: str) -> AsyncIterator[str]:
        """Yield the output of a job from its beginning to its end; reconnect if necessary.

        Raises:
            JobServerError: the server no longer answers.
        """
        shown = 0
        while True:
            seen = 0
            # After a cut, the state of the job tells if more output will come.
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
        """Return True if all nodes of the cluster are this machine, so that they see its files.

        The result is False if the nodes are unknown. The address does not decide, because localhost
        may be a forwarded port.
        """
        # A cluster that has just started accepts jobs a moment before it lists its nodes.
        until_listed = Retrying(
            retry=retry_if_result(lambda nodes: not nodes),
            wait=wait_fixed(_NODES_EVERY_S),
            stop=stop_after_delay(_NODES_S),
            retry_error_callback=lambda _: set[str](),
        )
        nodes: set[str] = until_listed(self._nodes)
        own = {address.address for of in psutil.net_if_addrs().values() for address in of}
        return bool(nodes) and nodes <= own

    def _nodes(self) -> set[str]:
        """Return the addresses of the live nodes; empty if they are unknown."""
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
        """Convert the exceptions of Ray's client to `JobServerError`."""
        try:
            yield
        except AuthenticationError as error:
            raise JobServerError(
                f"{self._shown}: the cluster requires a token; set RAY_AUTH_TOKEN to it, or "
                "RAY_AUTH_TOKEN_PATH to a file with it (by default ~/.ray/auth_token)"
            ) from error
        except OSError as error:  # errors of sockets and of requests
            raise JobServerError(
                f"{self._shown}: no job server answers there ({type(error).__name__}); check "
                "--address, the tunnel or port-forward to it, and that the cluster is up"
            ) from error
        except RuntimeError as error:  # every answer other than 200
            raise JobServerError(f"{self._shown}: {error}") from error


def _check_answers(address: str) -> None:
    """Raise an error unless a server answers at the address; Ray's client has no time-out."""
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
    """Return the header with the cluster's token, from where Ray's commands look for it."""
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return {}
    token = os.environ.get("RAY_AUTH_TOKEN", "").strip()
    path = local_path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token"))
    if not token and path.is_file():
        token = path.read_text(encoding="utf-8").strip()
    return {"Authorization": f"Bearer {token}"} if token else {}
