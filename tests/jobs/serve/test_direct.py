"""Routes that are answered in front of FastAPI answer as they do behind it."""

from __future__ import annotations

import pytest

from jobs.serve.dialects import DIALECTS
from jobs.serve.task import new_id
from tests.jobs.serve.running import Running

DIRECT = {path: route for dialect in DIALECTS for path, route in dialect.direct().items()}
BODY = {"prompt": "a cat", "reference_images": ["https://example.com/style.png"]}


def test_both_ways_to_a_prediction_give_the_same_answer(server: Running) -> None:
    with server.client() as client:
        task_id = client.post("/api/v3/bytedance/uso", json=BODY).json()["data"]["id"]
        behind = client.get(f"/api/v3/predictions/{task_id}").raise_for_status()
        direct = client.get(f"/api/v3/predictions/{task_id}/result").raise_for_status()
    kept = ("id", "model", "urls", "created_at")
    assert {name: behind.json()["data"][name] for name in kept} == {
        name: direct.json()["data"][name] for name in kept
    }
    assert behind.headers["content-type"] == direct.headers["content-type"]


@pytest.mark.parametrize("path", [path for path in DIRECT if path.startswith("GET")])
def test_refusals_have_the_form_of_their_dialect(server: Running, path: str) -> None:
    method, _, template = path.partition(" ")
    url = template.replace("{task_id}", new_id())
    with server.client() as client:
        unknown = client.request(method, url)
        odd = client.request(method, template.replace("{task_id}", "NOT-AN-ID"))
        secretless = client.request(method, url, headers={"Authorization": ""})
        assert client.request("PATCH", url).status_code == 405
    assert (unknown.status_code, odd.status_code, secretless.status_code) == (404, 404, 401)
    assert unknown.json() == odd.json()
    assert unknown.headers["content-type"] == odd.headers["content-type"]


def test_they_are_described_and_counted_by_their_templates(server: Running) -> None:
    with server.client() as client:
        client.post("/api/v3/bytedance/uso", json={})
        client.get(f"/tasks/{new_id()}")
        described = client.get("/openapi.json").json()["paths"]
        metrics = client.get("/metrics").text
    for path, route in DIRECT.items():
        method = path.partition(" ")[0]
        assert method.lower() in described[route.path.replace(":path", "")]
    assert 'code="400",route="POST /api/v3/{model:path}"' in metrics
    assert 'code="404",route="GET /tasks/{task_id}"' in metrics
