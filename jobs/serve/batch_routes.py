"""The routes of runs that use the actors of this server: `uso run --through URL`.

They are private: a run and a server must be of the same version. A key needs the permission.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from jobs.secret_settings import resolved_secrets
from jobs.serve.dialects.base import AsKey, WithService, json_object
from jobs.serve.errors import ApiError
from jobs.serve.service import Service
from jobs.serve.store.keys import Key
from pipelines.errors import StorageError
from pipelines.handling import Destination
from pipelines.ledger.heartbeat import read_holder
from pipelines.storage.storage import Storage
from pipelines.storage.urls import redact_uri
from pipelines.through.agreement import settings_of
from pipelines.through.wire import (
    PREFIX,
    ServerFacts,
    destination_from_json,
    ended_as_json,
    row_from_json,
)

router = APIRouter(prefix=PREFIX, tags=["batch"], include_in_schema=False)

_WAITING = 3  # rows of a run for each one on an actor, so that none of them waits for the network
_PATIENCE_S = 10
_MOST_WAIT_S = 60


async def _batch_key(key: AsKey) -> Key:
    if not key.limits.batch:
        message = "this key may not give batch rows; `uso keys create CONFIG NAME --batch` makes "
        raise ApiError(403, f"{message}one that may")
    return key


AsBatchKey = Annotated[Key, Depends(_batch_key)]


@router.get("/server")
async def server(_: AsBatchKey, service: WithService) -> dict[str, Any]:
    """Return the facts that a run compares with its own configuration."""
    stylize = service.config.stylize
    return asdict(
        ServerFacts(
            actors=stylize.max_actors,
            rows_per_actor=_WAITING * stylize.most_rows_in_flight,
            fingerprint=service.card.fingerprint,
            settings=settings_of(service.config.as_run()),
        )
    )


@router.post("/runs")
async def open_run(request: Request, key: AsBatchKey, service: WithService) -> dict[str, Any]:
    """Begin a session for a run that holds the lease of its output."""
    body = await json_object(request)
    try:
        destination = destination_from_json(body.get("destination"))
    except ValueError as error:
        raise ApiError(400, f"destination: {error}") from error
    await asyncio.to_thread(_check_lease, destination, service)
    return {"session": service.runs.open(key.id, destination).id}


@router.post("/runs/{session_id}/rows")
async def give(
    session_id: str, request: Request, key: AsBatchKey, service: WithService
) -> dict[str, Any]:
    """Take rows of a run."""
    session = service.runs.get(session_id, key.id)
    body = await json_object(request, with_images=True)
    try:
        rows = [row_from_json(each) for each in body["rows"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ApiError(400, f"rows: {error}") from error
    service.runs.add(session, rows)
    return {}


@router.get("/runs/{session_id}/outcomes")
async def outcomes(
    session_id: str,
    key: AsBatchKey,
    service: WithService,
    after: Annotated[int, Query(ge=0)],
    wait_s: Annotated[float, Query(ge=0, le=_MOST_WAIT_S)],
) -> dict[str, Any]:
    """Return the outcomes after a number, at the latest when the wait is over."""
    runs = service.runs
    ended = await runs.outcomes(runs.get(session_id, key.id), after, wait_s)
    activity = None if runs.activity is None else asdict(runs.activity)
    return {
        "outcomes": [ended_as_json(each) for each in ended],
        "ready": service.readiness.ready,
        "activity": activity,
    }


@router.post("/runs/{session_id}/withdraw")
async def withdraw(session_id: str, key: AsBatchKey, service: WithService) -> dict[str, Any]:
    """Give back the rows that wait."""
    runs = service.runs
    return {"row_ids": runs.withdraw(runs.get(session_id, key.id))}


@router.delete("/runs/{session_id}")
async def end(session_id: str, key: AsBatchKey, service: WithService) -> dict[str, Any]:
    """End a session, and cancel its rows."""
    runs = service.runs
    runs.end(runs.get(session_id, key.id))
    return {}


def _check_lease(destination: Destination, service: Service) -> None:
    """Check that this machine sees the output of the run, by the lease that the run holds.

    Raises:
        ApiError: it does not.
    """
    output = Storage.at(
        destination.path,
        resolved_secrets(service.config.storage),
        patience_s=_PATIENCE_S,
        create=False,
    )
    place = redact_uri(destination.path)
    try:
        holder = read_holder(output)
    except StorageError as error:
        raise ApiError(409, f"output.path: the server cannot read {place}: {error}") from error
    if holder is None or holder.run_id != destination.run_id:
        message = f"output.path: the server does not see the output of this run at {place}; give a "
        raise ApiError(409, f"{message}folder that both see, or a store")
