"""The commands of the README that get an image from a server, as they stand."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import httpx2
import pytest

from tests.jobs.serve.running import Running

ROOT = Path(__file__).parents[3]
SECTION = (
    (ROOT / "README.md").read_text().partition("## Serve it over HTTP")[2].partition("\n## ")[0]
)
URL = "http://127.0.0.1:8321"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.+?)```", SECTION, re.DOTALL)


def test_the_curl_command(server: Running) -> None:
    (command,) = blocks("sh")
    command = command.replace("\\\n", " ").replace("$USO_API_KEY", server.secret)
    words = shlex.split(command.replace(URL, server.url))
    assert (words[0], words[2], words[4]) == ("curl", "-H", "--json")
    name, _, value = words[3].partition(": ")
    given = json.loads(words[5])
    answer = httpx2.post(words[1], headers={name: value}, json=given, timeout=60).json()
    image = httpx2.get(answer["data"]["output"]["generated_image"]["uri"])
    assert image.headers["content-type"] == "image/png"


@pytest.mark.parametrize("client", ["wavespeed", "inferencesh"])
def test_the_code(
    client: str,
    server: Running,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (code,) = [block for block in blocks("python") if client in block]
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("USO_API_KEY", server.secret)
    exec(compile(code.replace(URL, server.url), "README.md", "exec"), {})
    (url,) = re.findall(r"http://[^']+\.png[^']*", capsys.readouterr().out)
    assert httpx2.get(url).headers["content-type"] == "image/png"
