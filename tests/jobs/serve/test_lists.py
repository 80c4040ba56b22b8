"""Lists of tasks and files, and their filters, in each API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.serve.store.database import Database
from jobs.serve.store.tables import files
from tests.jobs.serve.running import Running, config_for, running

SMALL = {"prompt": "a cat", "width": 32, "height": 32, "num_steps": 1}
STYLE = "https://example.com/a.png"


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, list[str]]]:
    """Return a server without workers, and three tasks: two wait, the second is cancelled."""
    folder: Path = tmp_path_factory.mktemp("lists")
    with running(config_for(folder), workers=0) as server, server.client() as http:
        body = {"app": "infsh/bytedance-uso", "input": SMALL}
        ids = [http.post("/apps/run", json=body).json()["data"]["id"] for _ in "abc"]
        http.post(f"/tasks/{ids[1]}/cancel")
        yield server, ids


def predictions(server: Running, **body: Any) -> Any:
    with server.client() as http:
        return http.post("/api/v3/predictions", json=body)


def listed(server: Running, *filters: dict[str, Any]) -> Any:
    with server.client() as http:
        return http.post("/tasks/list", json={"filters": list(filters)})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [2, 1, 0]),
        ({"status": ""}, [2, 1, 0]),
        ({"status": "created"}, [2, 0]),
        ({"status": "cancelled"}, [1]),
        ({"status": "completed"}, []),
        ({"model": "bytedance/uso"}, [2, 1, 0]),
        ({"model": "bytedance/other"}, []),
        ({"created_after": "2020-01-01"}, [2, 1, 0]),
        ({"created_after": "2020-01-01T00:00:00.000Z", "created_before": "2020-01-02"}, []),
        ({"created_before": "2020-01-01T00:00:00+02:00"}, []),
    ],
)
def test_predictions_by_field(
    tasks: tuple[Running, list[str]], body: dict[str, Any], expected: list[int]
) -> None:
    server, ids = tasks
    data = predictions(server, **body).json()["data"]
    assert [item["id"] for item in data["items"]] == [ids[place] for place in expected]
    assert data["total"] == len(expected)


def test_predictions_page_by_page(tasks: tuple[Running, list[str]]) -> None:
    server, ids = tasks
    data = predictions(server, page=2, page_size=2).json()["data"]
    assert (data["page"], data["total"], [item["id"] for item in data["items"]]) == (2, 3, ids[:1])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"page": 0}, "page: give a number from 1"),
        ({"page_size": 101}, "page_size: at most 100"),
        ({"status": "done"}, "status: 'done' is not accepted; give created, processing"),
        ({"status": ["failed"]}, "status: "),
        ({"created_after": "yesterday"}, "created_after: 'yesterday' is not accepted"),
    ],
)
def test_a_wrong_field_of_a_list_is_named(
    tasks: tuple[Running, list[str]], body: dict[str, Any], said: str
) -> None:
    answer = predictions(tasks[0], **body)
    assert (answer.status_code, said in answer.json()["message"]) == (400, True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("status", "eq", 12), [1]),
        (("status", "eq", "cancelled"), [1]),
        (("status", "neq", 12), [2, 0]),
        (("status", "in", [12, "queued"]), [2, 1, 0]),
        (("status", "not_in", [2]), [1]),
        (("created_at", "gte", "2020-01-01"), [2, 1, 0]),
        (("created_at", "lt", "2020-01-01"), []),
    ],
)
def test_tasks_by_filter(
    tasks: tuple[Running, list[str]], given: tuple[str, str, Any], expected: list[int]
) -> None:
    server, ids = tasks
    answer = listed(server, dict(zip(("field", "operator", "value"), given, strict=True)))
    found = [item["id"] for item in answer.json()["data"]["items"]]
    assert found == [ids[place] for place in expected]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"field": "rating", "operator": "eq", "value": 1}, "filters[0]: this filter is not known"),
        ({"field": "status", "operator": "like", "value": 1}, "filters[0]: this filter is not"),
        (
            {"field": "status", "operator": "eq", "value": 99},
            "filters[0].value: '99' is not a status",
        ),
        (
            {"field": "status", "operator": "eq", "value": {}},
            "filters[0].value: '{}' is not a status",
        ),
        (7, "filters[0]: give an object"),
    ],
)
def test_a_wrong_filter_is_named(tasks: tuple[Running, list[str]], given: Any, said: str) -> None:
    answer = listed(tasks[0], given)
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    "path", ["/tasks/list", "/files/list", "/apps/list", "/api/v3/predictions"]
)
def test_a_list_needs_no_body(tasks: tuple[Running, list[str]], path: str) -> None:
    with tasks[0].client() as http:
        assert http.post(path).status_code == 200


def files_listed(server: Running, **body: Any) -> Any:
    with server.client() as http:
        return http.post("/files/list", json=body)


def test_files_of_one_millisecond_are_all_listed(tasks: tuple[Running, list[str]]) -> None:
    server, _ = tasks
    with server.client() as http:
        announced = http.post("/files", json={"files": [{"filename": "a.png"}] * 5})
    ids = {file["id"] for file in announced.json()["data"]}
    server.call(created_at_once(server.service.database))
    found, cursor = list[str](), ""
    while True:
        data = files_listed(server, limit=2, cursor=cursor).json()["data"]
        found += [file["id"] for file in data["items"]]
        cursor = data["next_cursor"]
        if not cursor:
            break
        assert len(data["items"]) == 2
    assert (len(found), set(found)) == (len(ids), ids)


async def created_at_once(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(files.update().values(created_at=1_700_000_000_000))


@pytest.mark.parametrize(
    ("operator", "expected"), [("gte", False), ("lt", True)], ids=["since", "before"]
)
def test_files_by_time(tasks: tuple[Running, list[str]], operator: str, *, expected: bool) -> None:
    given = {"field": "created_at", "operator": operator, "value": "2100-01-01"}
    with tasks[0].client() as http:
        http.post("/files", json={"files": [{"filename": "b.png"}]})
    answer = files_listed(tasks[0], filters=[given])
    assert bool(answer.json()["data"]["items"]) is expected


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"filters": "x"}, "filters: give a list"),
        ({"filters": [{"field": "status", "operator": "eq", "value": 10}]}, "files have no status"),
        ({"cursor": "12"}, "cursor: give the next_cursor"),
        ({"cursor": 7}, "cursor: give the next_cursor"),
    ],
)
def test_a_wrong_field_of_a_list_of_files_is_named(
    tasks: tuple[Running, list[str]], body: dict[str, Any], said: str
) -> None:
    answer = files_listed(tasks[0], **body)
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True)
