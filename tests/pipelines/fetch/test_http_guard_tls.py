from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator

import httpcore2
import httpx2
import pytest
import trustme

from pipelines.config.inputs import FetchConfig
from pipelines.fetch.guarded_transport import GuardedTransport
from pipelines.fetch.http import HttpReader
from pipelines.fetch.http_guard import (
    GuardedBackend,
)
from tests.pipelines import http_origin as http
from tests.pipelines.fetch.fake_internet import PUBLIC, LoopbackTcp, Names, refusal


@pytest.fixture
def tls() -> Iterator[tuple[int, ssl.SSLContext]]:
    """The port of a TLS server with a certificate for good.test, and a context that trusts it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("good.test").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as stream:
                    stream.recv(65536)
                    stream.sendall(http.head("200 OK", Content_Length="3") + b"tls")
            except OSError:
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1], trusting
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(("host", "works"), [("good.test", True), ("bad.test", False)])
def test_tls_verifies_the_name_not_the_address(
    tls: tuple[int, ssl.SSLContext], host: str, works: bool
) -> None:
    port, context = tls
    names = Names(good=[[PUBLIC]], bad=[[PUBLIC]])
    backend = GuardedBackend(allow_private=False, resolve=names, tcp=LoopbackTcp(port))
    with httpx2.Client(transport=GuardedTransport(backend, context)) as client:
        if works:
            assert client.get(f"https://{host}/").content == b"tls"
        else:
            with pytest.raises(httpcore2.ConnectError) as caught:
                client.get(f"https://{host}/")
            assert isinstance(caught.value.args[0], ssl.SSLCertVerificationError)


def test_an_invalid_certificate_is_refused_without_another_try(
    tls: tuple[int, ssl.SSLContext],
) -> None:
    port, _ = tls
    names = Names(good=[[PUBLIC]])
    backend = GuardedBackend(allow_private=False, resolve=names, tcp=LoopbackTcp(port))
    failure = refusal(HttpReader(FetchConfig(), backend), "https://good.test/x.png")
    assert "certificate" in failure.message
