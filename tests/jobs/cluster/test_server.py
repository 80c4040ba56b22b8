from __future__ import annotations

import socket

import pytest

from jobs.cluster.server import JobServer, JobServerError


@pytest.mark.parametrize("address", ["127.0.0.1:8265", "auto", "ray://head:10001", "http://"])
def test_an_address_that_is_no_url(address: str) -> None:
    with pytest.raises(JobServerError, match=r"--address '.*': give a URL such as"):
        JobServer(address)


def test_nothing_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(JobServerError, match="no job server answers there") as caught:
        JobServer(address)
    assert "secret" not in str(caught.value)
