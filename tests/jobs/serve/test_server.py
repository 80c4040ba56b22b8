"""The socket of the server."""

from __future__ import annotations

import asyncio
import socket

from jobs.serve.listen import listen


def test_each_part_of_an_answer_is_sent_at_once() -> None:
    async def is_sent_at_once() -> bool:
        accepted = asyncio.get_running_loop().create_future()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            accepted.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = listen("127.0.0.1", 0, "serve.port")
        async with await asyncio.start_server(connected, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.close()
            return bool(await accepted)

    assert asyncio.run(is_sent_at_once())
