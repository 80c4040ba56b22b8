#!/usr/bin/env bash
# uvicorn answers 40 ms late on a socket that the application has made.
#
# The guess: `Server.serve([socket.create_server((host, port))])` is as fast as `Config(port=...)`:
# asyncio turns Nagle's algorithm off for TCP.
#
# What happens: asyncio does so only if `socket.proto` is IPPROTO_TCP. `create_server` leaves it at
# 0, and so does uvicorn's own `Config.bind_socket`; accepted connections take it over. uvicorn sends
# the head and the body of an answer apart, so on a kept connection the body waits until the client
# acknowledges the head, which takes 40 ms. There is no sign of it but the time.
#
# Whom it hurts: servers that bind their socket themselves, e.g. to name a port that is in use, or to
# listen before they load. The remedy: `socket.socket(fileno=listener.detach())` asks the kernel.
#
# Run: bash findings/uvicorn_own_socket_delay.sh   (needs the network or a wheel cache)
# Exits with 0 while uvicorn and asyncio behave like this, with 1 when they no longer do.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet uvicorn==0.54.0 h11==0.16.0
cd "$folder" && "$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import http.client
import socket
import statistics
import sys
import time

import uvicorn

print("python", sys.version.split()[0], "uvicorn", uvicorn.__version__)


async def app(scope, receive, send):
    if scope["type"] == "http":
        head = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
        await send(head)
        await send({"type": "http.response.body", "body": b"ok"})


def ask(port):
    connection, times = http.client.HTTPConnection("127.0.0.1", port), []
    for _ in range(20):
        began = time.perf_counter()
        connection.request("GET", "/")
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


async def measured(listener):
    delay = asyncio.get_running_loop().create_future()

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport):
            accepted = transport.get_extra_info("socket")
            delay.set_result(not accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    copy = listener.dup()
    probe = await asyncio.get_running_loop().create_server(Protocol, sock=copy)
    port = listener.getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    is_delayed = await delay
    writer.close()
    probe.close()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    seconds = await asyncio.to_thread(ask, port)
    server.should_exit = True
    await serving
    return is_delayed, seconds


async def main():
    plain = socket.create_server(("127.0.0.1", 0))
    named = socket.socket(fileno=socket.create_server(("127.0.0.1", 0)).detach())
    delays = []
    for name, listener in (("create_server", plain), ("the same, asked for its protocol", named)):
        proto = listener.proto
        is_delayed, seconds = await measured(listener)
        print(f"{name}: proto {proto}, Nagle's algorithm {is_delayed}, {1e3 * seconds:.1f} ms")
        delays.append(is_delayed)
    return delays == [True, False]


as_described = asyncio.run(main())
print("as described" if as_described else "NO LONGER as described")
sys.exit(not as_described)
PYTHON
