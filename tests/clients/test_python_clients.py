"""The vendors' Python clients of other versions, and the tools that are built on them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time

import pytest

from tests.clients.installs import SCRIPTS, python_packages, run_python
from tests.jobs.serve.running import Running
from tests.pipelines import http_origin as http
from tests.pipelines.http_origin import Origin

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]  # the first run installs packages


@pytest.mark.parametrize("version", ["0.6.5", "0.14.3", "0.33.0", "0.36.0"])
def test_inferencesh(server: Running, reference: str, version: str) -> None:
    packages = python_packages(f"inferencesh-{version}", alone=f"inferencesh=={version}")
    script = str(SCRIPTS / "inferencesh_flows.py")
    said = run_python([script, server.url, server.secret, reference], packages)
    assert said.endswith("ok async\n")


def test_langchain(server: Running, origin: Origin) -> None:
    packages = python_packages("langchain-wavespeed", "langchain-wavespeed==0.1.3")
    script = str(SCRIPTS / "langchain_flows.py")
    said = run_python([script, server.url, server.secret, origin.url("/ref.png")], packages)
    assert said.endswith("ok\n")


def test_mcp_server(server: Running, reference: str) -> None:
    # Its pins of fastapi and uvicorn are of no use to it, and it needs an old mcp.
    packages = python_packages(
        "wavespeed-mcp", "mcp[cli]<2", "python-dotenv", "requests", alone="wavespeed-mcp==0.1.27"
    )
    script = str(SCRIPTS / "mcp_flows.py")
    said = run_python([script, server.url, server.secret, reference], packages)
    assert said.endswith("ok local\n")


def test_command(server: Running, origin: Origin) -> None:
    """WaveSpeedAI's command, and its check of a webhook."""
    packages = python_packages("wavespeedai-skills", alone="wavespeedai-skills==1.2.0")
    secret = _webhook_secret(server)
    env = {
        "WAVESPEED_API_BASE": f"{server.url}/api/v3",
        "WAVESPEED_API_KEY": server.secret,
        "WAVESPEED_WEBHOOK_SECRET": secret.removeprefix("whsec_"),
    }

    def cli(*arguments: str) -> str:
        return run_python(["-m", "wavespeedai_skills.cli", *arguments], packages, **env)

    given = {
        "prompt": "a cat",
        "size": "32*32",
        "num_inference_steps": 1,
        "reference_images": [origin.url("/ref.png")],
    }
    hook = origin.on("/hook", http.status(200))
    submitted = json.loads(
        cli("submit", "bytedance/uso", json.dumps(given), "--webhook-url", hook)
    )["data"]
    result = json.loads(cli("result", submitted["id"], "--wait", "--poll-interval", "0.05"))
    assert result["data"]["status"] == "completed"
    assert cli("models", "--names-only") == "bytedance/uso\n"
    assert json.loads(cli("balance"))["data"] == {"balance": 0}
    assert json.loads(cli("cancel", submitted["id"]))["data"]["id"] == submitted["id"]

    head, body = _delivery(origin, "/hook")
    assert cli("verify-webhook", body.decode(), head["x-webhook-signature"]) == "valid\n"
    assert json.loads(body)["input"]["prompt"] == "a cat"
    # As the vendor's documentation verifies it.
    version, _, received = head["webhook-signature"].partition(",")
    assert version == "v3"
    assert abs(time.time() - int(head["webhook-timestamp"])) < 300
    signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + body
    key = secret.removeprefix("whsec_").encode()
    assert hmac.compare_digest(hmac.new(key, signed, hashlib.sha256).hexdigest(), received)


def _webhook_secret(server: Running) -> str:
    with server.client() as client:
        secret: str = client.get("/api/v3/webhook/secret").json()["data"]["secret"]
    return secret


def _delivery(origin: Origin, path: str) -> tuple[dict[str, str], bytes]:
    """Wait for a request, and return its headers and its body."""
    give_up_at = time.monotonic() + 20
    while not origin.hits[path]:
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    place = next(i for i, head in enumerate(origin.requests) if f" {path} " in head)
    lines = [line.partition(": ") for line in origin.requests[place].split("\r\n")[1:]]
    return {name.lower(): value for name, _, value in lines}, origin.bodies[place]
