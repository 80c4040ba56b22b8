"""A signing key on a real Ray cluster: in the actors, and in nothing that Ray keeps or shows."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from jobs import exits
from tests.integration.harness import (
    manifest_rows,
    read_records,
    run_config,
    run_uso,
    write_config,
    write_manifest,
    write_references,
)
from tests.integration.ray_head import RayHead, ray_head
from tests.pipelines.provenance.chains import Chain, make_chain

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

NODES, ACTORS = "USO_TEST_KEY_OF_NODES", "USO_TEST_KEY_OF_ACTORS"
_SHOWN_BY_RAY = (
    "/api/jobs/",
    "/api/v0/actors?detail=1",
    "/api/v0/tasks?detail=1",
    "/api/v0/workers?detail=1",
    "/api/v0/runtime_envs?detail=1",
    "/api/v0/nodes?detail=1",
)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return make_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def head(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayHead]:
    """A head whose nodes have the key; the client that submits has not."""
    with tempfile.TemporaryDirectory(prefix="uso", ignore_cleanup_errors=True) as folder:
        with monkeypatch.context() as on_nodes:
            on_nodes.setenv(NODES, chain.key.read_text())
            starting = ray_head(Path(folder), "")
            started = starting.__enter__()
        try:
            yield started
        finally:
            starting.__exit__(None, None, None)


def test_the_key_is_in_nothing_that_ray_keeps_or_shows(
    tmp_path: Path, head: RayHead, chain: Chain
) -> None:
    references = write_references(tmp_path / "refs", 2)
    rows = manifest_rows(4, [f"refs/{name}" for name in references])
    manifest = write_manifest(tmp_path / "manifest.parquet", rows)
    keys = {"certificate": str(chain.certificate), "key": f"${{{ACTORS}}}"}
    config = run_config(
        str(manifest),
        str(tmp_path / "out"),
        output={"provenance": {"c2pa": True, **keys}},
        stylize={"actors": 1},
        ray={"env": {ACTORS: f"${{{NODES}}}"}},
    )
    path = str(write_config(tmp_path / "signed.yaml", config))
    reach = ("--address", head.address)
    for name in (ACTORS, NODES):
        code, said = run_uso("submit", path, *reach, "--env", name, env={**head.env, name: "x"})
        assert (code, "a secret that signs must not be in the job" in said) == (2, True), said
    code, said = run_uso("submit", path, "--follow", *reach, env=head.env)
    assert code == exits.DONE, said
    records = read_records(str(tmp_path / "out"))
    assert all(record["unsigned_sha256"] for record in records)
    assert len(records) == 4
    secret = chain.key.read_text().splitlines()[1]
    assert len(secret) == 64
    shown = [httpx2.get(head.address + place, timeout=30) for place in _SHOWN_BY_RAY]
    assert [answer.status_code for answer in shown] == [200] * len(shown)
    assert re.search("signed", shown[0].text)  # the job is in it
    for text in (said, *(answer.text for answer in shown)):
        assert secret not in text
    written = [path for top in (head.folder, tmp_path / "out") for path in top.rglob("*")]
    found = [path for path in written if path.is_file() and secret.encode() in path.read_bytes()]
    assert found == []
    assert len(written) > 40  # Ray's logs are among them
