"""inference.sh's API, by its own client and by plain requests."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import inferencesh
import pytest

from tests.jobs.serve.inferencesh_requests import APP, CONTENT, SMALL, ended, run
from tests.jobs.serve.running import Running
from tests.pipelines.pictures import encode, picture


def client(server: Running) -> inferencesh.Inference:
    return inferencesh.inference(api_key=server.secret, base_url=server.url)


def test_its_client_runs(server: Running) -> None:
    result = client(server).run({"app": APP, "input": {**SMALL, "content_image": CONTENT}})
    assert result["status"] == inferencesh.TaskStatus.COMPLETED
    image = result["output"]["generated_image"]
    assert (image["content_type"], image["filename"][-4:]) == ("image/png", ".png")
    with server.client() as http:
        assert len(http.get(image["uri"]).content) == image["size"]


def test_its_client_streams(server: Running) -> None:
    updates = list(client(server).run({"app": APP, "input": SMALL}, stream=True))
    assert updates[-1]["status"] == inferencesh.TaskStatus.COMPLETED
    assert all(update["id"] == updates[0]["id"] for update in updates)


def test_its_async_client_runs(server: Running) -> None:
    asynchronous = inferencesh.async_inference(api_key=server.secret, base_url=server.url)
    result = asyncio.run(asynchronous.run({"app": APP, "input": SMALL}))
    assert result["status"] == inferencesh.TaskStatus.COMPLETED


def test_its_client_uploads_a_local_file(server: Running, tmp_path: Path) -> None:
    (tmp_path / "ref.png").write_bytes(encode(picture()))
    before = len(server.rows)
    given = {**SMALL, "content_image": str(tmp_path / "ref.png")}
    client(server).run({"app": APP, "input": given})
    assert server.rows[before].content_image == encode(picture())


def test_a_failed_task_is_an_error_of_the_client(server: Running) -> None:
    given = {**SMALL, "content_image": f"{server.url}/healthz"}
    with pytest.raises(RuntimeError, match="image"):
        client(server).run({"app": APP, "input": given})


def test_the_answer_to_a_run(server: Running) -> None:
    answer = run(server, {"seed": 0})
    body = answer.json()
    assert (answer.status_code, body["success"], body["status"]) == (200, True, 200)
    task = body["data"]
    assert task["status"] < 10
    assert task["output"] is None
    assert task["input"]["seed"] == 0
    assert {"data", "event", "fields", "type"} & set(task) == set()


def test_version_2_is_answered_with_the_bare_object(server: Running) -> None:
    with server.client() as http:
        answer = http.post(
            "/apps/run", json={"app": APP, "input": SMALL}, headers={"X-API-Version": "2"}
        )
    assert answer.json()["status_text"] == "queued"


def test_two_slashes_at_the_start_are_one(server: Running) -> None:
    with server.client() as http:
        url = f"{server.url}//apps/run"
        assert http.post(url, json={"app": APP, "input": SMALL}).status_code == 200


@pytest.mark.parametrize(
    "reference", [f"app/{APP}", f"{APP}@latest", f"{APP}@", f"{APP}:run", f"{APP}@current:run"]
)
def test_forms_of_the_app(server: Running, reference: str) -> None:
    assert run(server, app=reference).status_code == 200


@pytest.mark.parametrize(
    ("reference", "status"),
    [
        ("infsh/other", 404), (f"{APP}@v9", 404), (f"{APP}:other", 404), ("uso", 422), (7, 422),
        (None, 422), ("", 422),
    ],
)  # fmt: skip
def test_other_apps(server: Running, reference: Any, status: int) -> None:
    answer = run(server, app=reference)
    assert (answer.status_code, answer.json()["status"]) == (status, status)


def lines(server: Running, task_id: str, accept: str) -> list[str]:
    with (
        server.client() as http,
        http.stream("GET", f"/tasks/{task_id}/stream", headers={"Accept": accept}) as answer,
    ):
        assert answer.headers["content-type"].startswith(accept)
        return list(answer.iter_lines())


def test_a_stream_of_lines(server: Running) -> None:
    task_id = run(server).json()["data"]["id"]
    events = [json.loads(line) for line in lines(server, task_id, "application/x-ndjson")]
    assert [event["id"] for event in events] == [task_id] * len(events)
    assert events[-1]["status"] == 10
    assert len(lines(server, task_id, "application/x-ndjson")) == 1  # of an ended task


def test_a_stream_of_server_sent_events(server: Running) -> None:
    task_id = ended(server)["id"]
    number, data, *rest = lines(server, task_id, "text/event-stream")
    assert number == "id: 0"
    assert json.loads(data.removeprefix("data: "))["status"] == 10
    assert rest == [""]


def test_the_routes_of_a_task(server: Running) -> None:
    task = ended(server, content_image=CONTENT)
    with server.client() as http:
        assert http.get(f"/tasks/{task['id']}").json()["data"] == task
        status = http.get(f"/tasks/{task['id']}/status").json()["data"]
        assert status == {"id": task["id"], "status": 10, "updated_at": task["updated_at"]}
        files = http.get(f"/tasks/{task['id']}/files").json()["data"]
        assert [file["role"] for file in files] == ["input", "output"]
        assert [event["status"] for event in task["events"]][:3] == [1, 2, 3]
        assert http.post(f"/tasks/{task['id']}/cancel").json()["data"]["status"] == 10
        assert http.delete(f"/tasks/{task['id']}?files=true").status_code == 204
        assert http.get(f"/tasks/{task['id']}").status_code == 404
        assert http.get(task["output"]["generated_image"]["uri"]).status_code == 404


def test_lists_have_pages(server: Running) -> None:
    ids = [run(server).json()["data"]["id"] for _ in range(3)]
    with server.client() as http:
        first = http.post("/tasks/list", json={"limit": 2}).json()["data"]
        assert [task["id"] for task in first["items"]] == [ids[2], ids[1]]
        assert first["has_next"]
        second = http.post("/tasks/list", json={"limit": 1, "cursor": first["next_cursor"]})
    assert [task["id"] for task in second.json()["data"]["items"]] == [ids[0]]


def test_the_app_has_schemas(server: Running) -> None:
    with server.client() as http:
        app = http.get(f"/apps/{APP}").json()["data"]
    schema = app["version"]["functions"]["run"]["input_schema"]
    assert schema["required"] == ["prompt"]
    assert schema["properties"]["width"] == {
        "type": "integer", "minimum": 16, "maximum": 256, "multipleOf": 16
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/nope", "/agents", "/tasks/none", "/sessions/a", "/files/none"])
def test_unknown_routes_have_problems(server: Running, path: str) -> None:
    with server.client() as http:
        answer = http.get(path)
    assert answer.status_code == answer.json()["status"] == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_idempotency_key_gives_the_same_task(server: Running) -> None:
    headers = {"Idempotency-Key": "once"}
    body = {"app": APP, "input": SMALL}
    with server.client() as http:
        tasks = [http.post("/apps/run", json=body, headers=headers).json()["data"] for _ in "abc"]
        other = http.post("/apps/run", json={**body, "webhook": None}, headers=headers)
        ended_one = http.post("/apps/run", json={**body, "wait": True}).json()["data"]
        assert ended_one["status"] == 10
        http.get(f"/tasks/{tasks[0]['id']}/stream")  # until its end
        replay = http.post("/apps/run", json=body, headers=headers).json()["data"]
    assert len({task["id"] for task in tasks}) == 1
    assert other.status_code == 409
    assert replay["id"] == tasks[0]["id"]
    assert replay["status"] < 10  # a client that polls compares with the first status


@pytest.mark.parametrize("size", [True, -1, "3", 1.5])
def test_a_size_is_a_number_of_bytes(server: Running, size: Any) -> None:
    with server.client() as http:
        ours = http.post("/files", json={"files": [{"filename": "a", "size": size}]})
        theirs = http.post("/api/v3/media/uploads", json={"filename": "a", "size": size})
    assert (ours.status_code, theirs.status_code) == (422, 400)
    assert "files[0].size: give the number of bytes" in ours.json()["detail"]


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"function": "run"}, 200, ""),
        ({"function": "train"}, 404, "function of the app: it has run"),
        ({"run_at": "2020-01-01T00:00:00Z"}, 200, ""),
        ({"run_at": "2999-01-01T00:00:00Z"}, 422, "run_at: tasks start as soon as they can"),
        ({"run_at": "soon"}, 422, "run_at: 'soon' is not accepted"),
        ({"session": 7}, 422, "session: give an id, or new"),
        ({"session": "new", "session_timeout": 3601}, 422, "session_timeout: give 1 to 3,600"),
        ({"wait": "yes"}, 422, "wait: give true or false"),
        ({"setup": {}, "infra": "cloud", "workers": [], "metadata": {"a": 1}}, 200, ""),
    ],
)
def test_further_fields_of_a_run(
    server: Running, more: dict[str, Any], status: int, said: str
) -> None:
    answer = run(server, **more)
    assert answer.status_code == status
    assert said in answer.json().get("detail", "")


def test_its_client_has_sessions(server: Running) -> None:
    with client(server).session(APP, input=SMALL) as session:
        assert isinstance(session.call("run", SMALL), dict)
        with pytest.raises(inferencesh.APIError) as unknown:
            session.info()
        with pytest.raises(inferencesh.APIError, match="function"):
            session.call("train", SMALL)
    assert (unknown.value.status_code, unknown.value.code) == (404, "SESSION_NOT_FOUND")
    assert client(server).sessions.list() == []
    first, second = (run(server, session="new").json()["data"]["session_id"] for _ in "ab")
    assert first != second
    assert run(server, session=first).json()["data"]["session_id"] == first


def test_times_of_a_task(server: Running) -> None:
    task_id = ended(server)["id"]
    with server.client() as http:
        timings = http.get(f"/tasks/{task_id}/timings").json()["data"]
    assert [group["label"] for group in timings["groups"]] == ["queued", "running"]
    durations = [group["duration_ms"] for group in timings["groups"]]
    assert sum(durations) == timings["total_duration_ms"]
    assert timings["events"][-1]["status"] == "completed"
    assert sum(event.get("duration_ms", 0) for event in timings["events"]) == sum(durations)


def test_a_version_of_the_app(server: Running) -> None:
    with server.client() as http:
        found = http.get(f"/apps/{APP}/versions/current").json()["data"]
        assert found == http.get(f"/apps/{APP}").json()["data"]
        assert http.get(f"/apps/{APP}/versions/v9").status_code == 404
