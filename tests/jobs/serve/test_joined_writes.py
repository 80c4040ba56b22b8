"""The head and the body of an answer are sent at once."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.serve.joined_writes import JoinedWrites
from tests.jobs.serve.hostile import address, read_all
from tests.jobs.serve.running import Running, config_for, running

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
DATA_SEGMENTS_IN = 152  # offset in Linux' `struct tcp_info`


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("idle")
    with running(config_for(folder), workers=0) as run:
        yield run


def segments(connection: socket.socket) -> int:
    facts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return int(struct.unpack_from("=I", facts, DATA_SEGMENTS_IN)[0])


def test_an_answer_is_sent_at_once(idle: Running) -> None:
    with socket.create_connection(address(idle), 20) as connection:
        for number in (1, 2, 3):
            connection.sendall(GET + b"\r\n")
            received = b""
            while not received.endswith(b'{"status":"ok"}'):
                received += connection.recv(65536)
            assert segments(connection) == number


def test_an_answer_is_whole_before_its_connection_closes(idle: Running) -> None:
    with socket.create_connection(address(idle), 20) as connection:
        connection.sendall(GET + b"Connection: close\r\n\r\n")
        assert read_all(connection).endswith(b'{"status":"ok"}')


def test_parts_are_sent_in_order_and_many_bytes_without_a_wait() -> None:
    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        joined = JoinedWrites(transport, loop)
        theirs.setblocking(False)
        for part in (b"a", b"b"):
            joined.write(part)
        assert joined.get_write_buffer_size() == 2
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        joined.write(bytes(70_000))  # they do not wait for the end of the turn
        received = theirs.recv(2)
        await asyncio.sleep(0)
        joined.write(b"c")
        joined.close()
        while part := await loop.sock_recv(theirs, 100_000):
            received += part
        theirs.close()
        return received

    assert asyncio.run(run()) == b"ab" + bytes(70_000) + b"c"


def test_nothing_is_sent_after_an_abort() -> None:
    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        joined = JoinedWrites(transport, loop)
        joined.write(b"a")
        joined.abort()
        theirs.setblocking(False)
        received = await loop.sock_recv(theirs, 10)
        theirs.close()
        return received

    assert asyncio.run(run()) == b""
