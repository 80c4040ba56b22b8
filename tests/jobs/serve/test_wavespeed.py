"""WaveSpeedAI's API, by its own client and by plain requests."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
import wavespeed
from PIL import Image

from tests.jobs.serve.running import Running
from tests.pipelines.pictures import encode, picture

STYLE = "data:image/png;base64," + base64.b64encode(encode(picture())).decode()
SMALL = {"size": "32*48", "num_inference_steps": 2, "reference_images": [STYLE]}


def client(server: Running) -> wavespeed.Client:
    return wavespeed.Client(api_key=server.secret, base_url=server.url)


def submit(server: Running, **fields: Any) -> Any:
    with server.client() as http:
        return http.post("/api/v3/bytedance/uso", json={**SMALL, **fields})


def opened(server: Running, url: str) -> Image.Image:
    with server.client() as http:
        answer = http.get(url, headers={"Authorization": ""})  # a URL of a file needs no key
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.content))


def test_its_client_runs_and_the_image_is_there(server: Running) -> None:
    result = client(server).run("bytedance/uso", {**SMALL, "prompt": "a cat", "seed": 7})
    (url,) = result["outputs"]
    assert opened(server, url).size == (32, 48)


def test_the_same_seed_draws_the_same_image(server: Running) -> None:
    urls = [client(server).run("bytedance/uso", {**SMALL, "seed": 9})["outputs"][0] for _ in "ab"]
    first, second = (opened(server, url).tobytes() for url in urls)
    assert first == second


def test_the_answer_to_a_submit(server: Running) -> None:
    answer = submit(server, prompt="a cat", seed=0)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["code"], body["message"]) == (200, "success")
    data = body["data"]
    assert (data["status"], data["outputs"], data["has_nsfw_contents"]) == ("created", [], [])
    assert (data["error"], data["code"], data["model"]) == ("", 0, "bytedance/uso")
    assert data["urls"]["get"] == f"{server.url}/api/v3/predictions/{data['id']}/result"
    assert data["created_at"].endswith("Z")
    assert not set(data["id"]) & set("0123456789")  # see `new_id`


def test_sync_mode_answers_with_the_image(server: Running) -> None:
    data = submit(server, enable_sync_mode=True).json()["data"]
    assert data["status"] == "completed"
    assert len(data["outputs"]) == len(data["has_nsfw_contents"]) == 1
    assert data["timings"]["inference"] == data["executionTime"] > 0


def test_a_url_of_an_image_stays_the_same(server: Running) -> None:
    data = submit(server, enable_sync_mode=True).json()["data"]
    with server.client() as http:
        answers = [http.get(data["urls"]["get"]).json()["data"] for _ in "ab"]
    assert answers[0]["outputs"] == answers[1]["outputs"] == data["outputs"]


@pytest.mark.parametrize("seed", [None, -1])
def test_a_seed_is_chosen_when_the_task_is_accepted(server: Running, seed: int | None) -> None:
    before = len(server.rows)
    submit(server, enable_sync_mode=True, **({} if seed is None else {"seed": seed}))
    submit(server, enable_sync_mode=True, **({} if seed is None else {"seed": seed}))
    first, second = (row.parameters.seed for row in server.rows[before:])
    assert first != second
    assert first >= 0


@pytest.mark.parametrize("name", ["images", "image"])
def test_aliases_of_reference_images(server: Running, name: str) -> None:
    fields = {name: [STYLE] if name == "images" else STYLE, "reference_images": None}
    before = len(server.rows)
    assert submit(server, enable_sync_mode=True, **fields).json()["data"]["status"] == "completed"
    assert server.rows[before].style_images == (encode(picture()),)


@pytest.mark.parametrize(
    "fields",
    [
        {"images": ["/home/me/a.png"], "image": STYLE},
        {"images": [STYLE], "image": "/home/me/a.png"},
        {"images": [STYLE], "image": STYLE},
    ],
)
def test_a_path_on_the_disk_of_its_mcp_server_does_not_count(
    server: Running, fields: dict[str, Any]
) -> None:
    before = len(server.rows)
    fields = {"reference_images": None, "enable_sync_mode": True, **fields}
    assert submit(server, **fields).json()["data"]["status"] == "completed"
    assert server.rows[before].style_images == (encode(picture()),)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"reference_images": []}, "reference_images: give 1 to 4"),
        ({"reference_images": [STYLE] * 5}, "reference_images: give 1 to 4"),
        ({"reference_images": ["/etc/passwd"]}, "reference_images[0]: give an http(s) URL"),
        ({"reference_images": ["file:///etc/passwd"]}, "reference_images[0]: give an http(s) URL"),
        ({"reference_images": ["s3://bucket/a.png"]}, "reference_images[0]: give an http(s) URL"),
        ({"reference_images": [7]}, "reference_images[0]: give a URL"),
        ({"reference_images": ["data:image/png;base64,@@"]}, "damaged"),
        ({"reference_images": None, "images": [7]}, "images[0]: give a URL"),
        ({"prompt": 7}, "prompt: give a text"),
        ({"prompt": "a" * 100_001}, "prompt: 100,001 characters are given"),
        ({"seed": True}, "seed: True is not accepted; give a number"),
        ({"guidance_scale": 0.5}, "guidance_scale: 0.5 is not accepted; give 1"),
        ({"num_images": "9" * 500}, "num_images: '9999"),
        ({"size": "9" * 5000 + "*32"}, "size: '9999"),
        ({"size": 32}, "size: '32' is not accepted; give WIDTH*HEIGHT"),
        ({"enable_sync_mode": "yes"}, "enable_sync_mode: give true or false"),
        ({"webhook_url": 7}, "webhook_url: give a URL"),
        ({"seed": -2}, "seed: -2 is not accepted"),
        ({"seed": "x"}, "seed: 'x' is not accepted"),
        ({"size": "big"}, "size: 'big' is not accepted"),
        ({"size": "33*32"}, "size: 33 is not accepted"),
        ({"num_inference_steps": 51}, "num_inference_steps: 51 is not accepted"),
    ],
)
def test_a_wrong_input_is_named(server: Running, fields: dict[str, Any], said: str) -> None:
    answer = submit(server, **fields)
    body = answer.json()
    assert (answer.status_code, body["code"], body["data"]) == (400, 400, None)
    assert said in body["message"]
    assert "error" not in body  # its MCP server fails on that key


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer nope", "Basic dTpw"])
def test_without_a_key(server: Running, authorization: str | None) -> None:
    with server.client() as http:
        headers = {} if authorization is None else {"Authorization": authorization}
        http.headers.pop("Authorization")
        answer = http.post("/api/v3/bytedance/uso", json=SMALL, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, 401)


def test_the_scheme_may_be_in_lower_case(server: Running) -> None:
    with server.client() as http:
        headers = {"Authorization": f"bearer {server.secret}"}
        assert http.post("/api/v3/bytedance/uso", json=SMALL, headers=headers).status_code == 200


def test_tasks_of_another_key_do_not_exist(server: Running) -> None:
    task_id = submit(server).json()["data"]["id"]
    _, other = server.call(server.service.keys.create("other"))
    with server.client() as http:
        answer = http.get(
            f"/api/v3/predictions/{task_id}", headers={"Authorization": f"Bearer {other}"}
        )
    assert (answer.status_code, answer.json()["message"]) == (404, "there is no such task")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/v3/bytedance/other", 404),
        ("GET", "/api/v3/predictions/none/result", 404),
        ("GET", "/api/v3/bytedance/uso", 405),
        ("POST", "/api/v3", 404),
        ("GET", "/api/v3/nope", 405),  # a submit takes every path
        ("PATCH", "/api/v3/balance", 405),
    ],
)
def test_unknown_routes_have_errors_in_its_form(
    server: Running, method: str, path: str, status: int
) -> None:
    with server.client() as http:
        answer = http.request(method, path, json={})
    assert (answer.status_code, answer.json()["code"]) == (status, status)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"7", b"{", b"[" * 100_000, b'"\xff"', b'{"a": NaN}', b'{"a": -Infinity}',
        b'{"prompt": "\\ud800"}', b'{"prompt": "\xed\xa0\x80"}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_object(server: Running, body: bytes) -> None:
    with server.client() as http:
        answer = http.post("/api/v3/bytedance/uso", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 400)
