"""Bodies, fields, paths and headers of any shape: never a 500, and the form of each dialect."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.jobs.serve.hostile import (
    GENERATE,
    INPUT,
    NAMES,
    ODD,
    OTHERS,
    PARTS,
    PREDICT,
    RAW,
    RUN,
    VALID,
    bodies,
    check,
    raw,
    routes,
)
from tests.jobs.serve.running import Running, config_for, running
from tests.jobs.serve.test_tasks import new

WITH_BODY = ("/apps/run", "/files", "/api/v3/bytedance/uso", "/api/v3/predictions", "/tasks/list",
             "/api/v3/predictions/delete", "/v1/images/generations", "/v1/images/edits",
             "/api/v3/media/uploads", "/api/v3/media/upload/binary", "/files/list")  # fmt: skip


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a server whose tasks wait for ever; a request in sync mode waits for a moment."""
    folder: Path = tmp_path_factory.mktemp("hostile")
    with running(config_for(folder, sync_timeout_s=0.01), workers=0) as run:
        yield run


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a server that refuses each valid request with 429, after it has read all of it."""
    folder: Path = tmp_path_factory.mktemp("full")
    with running(config_for(folder, max_queued=1), workers=0) as run:
        run.call(run.service.tasks.add(new()))
        yield run


@pytest.mark.parametrize("path", WITH_BODY)
def test_a_body_that_is_no_request(waiting: Running, path: str) -> None:
    with waiting.client() as http:
        for name, body in RAW.items():
            answer = http.post(path, content=body)
            check(path, answer)
            assert answer.status_code in (400, 404, 422), (name, answer.text)


@pytest.mark.parametrize("path", VALID)
def test_every_field_of_every_kind(full: Running, path: str) -> None:
    with full.client() as http:
        answers = [http.post(path, content=json.dumps(body)) for body in bodies(path)]
    for answer in answers:
        check(path, answer)
    assert {answer.status_code for answer in answers} >= {429, 400 if path != RUN else 422}


def test_every_route_with_odd_parameters(waiting: Running) -> None:
    with waiting.client() as http:
        for method, path in routes(waiting):
            for part in PARTS:
                at = part.join(re.split(r"\{[^}]*\}", path))
                query = {"e": part, "s": part, "token": part, "role": part, "wait": part}
                check(at, http.request(method, at, params=query, content=b"{}"))
            every = json.dumps(dict.fromkeys(OTHERS, ODD[-1]))
            check(at, http.request(method, at, content=every))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(ODD),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(INPUT) | st.text(), inner),
    max_leaves=20,
)
FIELDS = st.sampled_from((*NAMES[RUN], *NAMES[PREDICT], *OTHERS)).filter(lambda n: n != "stream")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(WITH_BODY), odd=st.dictionaries(FIELDS, JSON), valid=st.booleans())
def test_random_bodies(waiting: Running, path: str, odd: dict[str, object], valid: bool) -> None:
    body = {**VALID.get(path, {}), **odd} if valid and path != GENERATE else odd
    with waiting.client() as http:
        check(path, http.post(path, content=json.dumps(body)))


@pytest.mark.parametrize(
    "host", ["a/b", "evil.com/?x=", "a b", "a@b", "<script>", "", "a:99999999", "[::1", "a\\b"]
)
@pytest.mark.parametrize("path", ["/tasks/x", "/api/v3/models", "/"])
def test_a_host_that_is_none(waiting: Running, host: str, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    assert raw(waiting, request.encode()).startswith(b"HTTP/1.1 400 ")
