"""Each call of WaveSpeedAI's Python client."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import wavespeed

from tests.jobs.serve.running import Running, config_for, running
from tests.pipelines import http_origin as http
from tests.pipelines.http_origin import Origin
from tests.pipelines.pictures import encode, picture

MODEL = "bytedance/uso"
STYLE = "data:image/png;base64," + base64.b64encode(encode(picture())).decode()
SMALL = {
    "prompt": "a cat", "size": "32*32", "num_inference_steps": 1, "reference_images": [STYLE]
}  # fmt: skip


def client(server: Running, **options: Any) -> wavespeed.Client:
    return wavespeed.Client(
        api_key=server.secret, base_url=f"{server.url}/", retry_interval=0.01, **options
    )


def run(server: Running, fields: dict[str, Any] | None = None, **options: Any) -> list[str]:
    given = {**SMALL, **(fields or {})}
    outputs: list[str] = client(server).run(MODEL, given, poll_interval=0.02, **options)["outputs"]
    return outputs


@pytest.fixture
def origin() -> Iterator[Origin]:
    with http.serving() as served:
        yield served


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a server without workers, whose sync mode waits for a moment."""
    folder: Path = tmp_path_factory.mktemp("idle")
    with running(config_for(folder, sync_timeout_s=0.2), workers=0) as server:
        yield server


def test_sync_mode(server: Running) -> None:
    assert len(run(server, enable_sync_mode=True)) == 1


def test_sync_mode_that_takes_too_long_is_known_by_its_id(idle: Running) -> None:
    with pytest.raises(RuntimeError, match=r"Sync mode timed out after 0.2 seconds"):
        run(idle, enable_sync_mode=True)
    said = client(idle).run_no_throw(MODEL, SMALL, enable_sync_mode=True)
    assert (said["status"], said["outputs"]) == ("processing", None)
    known = client(idle).get_result(said["task_id"])["data"]
    assert (known["status"], known["error"], known["code"]) == ("created", "", 0)


def test_a_client_that_waits_no_longer_can_ask_later(idle: Running) -> None:
    # `timeout` of `run` would end each request, too.
    with (
        wavespeed.config.patch("api.timeout", 0.1),
        pytest.raises(TimeoutError, match=r"timed out after 0.1 seconds") as given_up,
    ):
        run(idle)
    task_id = str(given_up.value).rpartition("task_id: ")[2].rstrip(")")
    assert client(idle).get_result(task_id)["data"]["status"] == "created"


def test_uploads(server: Running, tmp_path: Path) -> None:
    content = encode(picture())
    (tmp_path / "ré f.png").write_bytes(content)
    with (tmp_path / "ré f.png").open("rb") as opened:
        kinds = (str(tmp_path / "ré f.png"), opened, io.BytesIO(content))
        urls = [client(server).upload(kind) for kind in kinds]
    before = len(server.rows)
    run(server, {"reference_images": urls})
    assert server.rows[before].style_images == (content,) * 3


def test_an_upload_that_is_too_large_is_refused(server: Running) -> None:
    most = round(server.service.config.serve.max_upload_mb * 10**6)
    with pytest.raises(RuntimeError, match=r"HTTP 413.*20,000,000 bytes"):
        client(server).upload(io.BytesIO(bytes(most + 1)))


def test_an_output_may_be_an_input(server: Running) -> None:
    assert run(server, {"reference_images": run(server)})


def test_base64_outputs(server: Running) -> None:
    for waits in (True, False):
        (output,) = run(server, {"enable_base64_output": True}, enable_sync_mode=waits)
        head, _, data = output.partition(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "Ein Kätzchen 猫 🐈 \u202e" * 20},
        {"prompt": None},
        {"prompt": "a cat " * 16_000},
        {"seed": 0},
        {"seed": 2**31 - 1},
        {"seed": -1, "num_images": 2},
        {"guidance_scale": 1, "num_inference_steps": 2},
        {"guidance_scale": 5.0},
        {"size": "16x256"},
        {"sync_model": True, "enable_safety_checker": True, "loras": [], "max_images": 9},
    ],
)
def test_odd_and_legal_inputs(server: Running, fields: dict[str, Any]) -> None:
    assert len(run(server, fields)) == fields.get("num_images", 1)


def test_a_failure_for_good_is_not_submitted_again(server: Running, origin: Origin) -> None:
    url = origin.on("/HTTP%20503/429/timeout-connection.png", http.status(404))
    with pytest.raises(RuntimeError, match="404"):
        run(server, {"reference_images": [url]}, max_retries=3)
    assert len(origin.requests) == 1


def test_a_failure_that_may_pass_is_submitted_again(server: Running, origin: Origin) -> None:
    url = origin.on("/late.png", http.status(503), http.status(503), http.ok(encode(picture())))
    assert run(server, {"reference_images": [url]}, max_retries=2)


def test_a_refused_submit_is_not_repeated(server: Running) -> None:
    before = server.call(server.service.tasks.count_waiting())
    with pytest.raises(RuntimeError, match=r"HTTP 400.*reference_images: give 1 to 4"):
        run(server, {"reference_images": []}, max_retries=3)
    with pytest.raises(RuntimeError, match=r"HTTP 404.*there is no model bytedance/other"):
        client(server).run("bytedance/other", SMALL, max_retries=3)
    stranger = wavespeed.Client(api_key="nope", base_url=server.url)
    with pytest.raises(RuntimeError, match="HTTP 401"):
        stranger.run(MODEL, SMALL)
    assert stranger.run_no_throw(MODEL, SMALL)["status"] == "failed"
    assert server.call(server.service.tasks.count_waiting()) == before


def test_many_at_once(server: Running) -> None:
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda seed: run(server, {"seed": seed}), range(16)))
    assert len({url for urls in results for url in urls}) == 16


def test_a_cancelled_task_ends_the_wait(idle: Running) -> None:
    with ThreadPoolExecutor(1) as threads, idle.client() as http_client:

        def newest() -> Any:
            answer = http_client.post("/api/v3/predictions", json={"page_size": 1})
            return [item["id"] for item in answer.json()["data"]["items"]]

        before = newest()
        waiting = threads.submit(run, idle)
        while newest() == before:
            assert not waiting.done()
        http_client.delete(f"/api/v3/predictions/{newest()[0]}")
        with pytest.raises(RuntimeError, match="cancelled"):
            waiting.result(20)
