#!/bin/sh
# The guess: on SIGTERM, `await uvicorn.Server(config).serve()` returns once its requests have ended,
#   and the code after it stops the rest of the program.
# What happens: uvicorn sends the signal to its own process again at the end of serve(), with the
#   handlers that were there before. The usual one for SIGTERM ends the process at once: neither the
#   code after serve() nor a `finally` around it runs. If the program has set `should_exit` itself,
#   serve() returns.
# Whom it hurts: everyone who runs uvicorn in a program with work of its own to end, such as workers,
#   a queue or a database: it is cut off on each `docker stop` and `systemctl stop`.
# Exit code: 0 while the library behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check uvicorn==0.54.0
cat > "$work/program.py" <<'PYTHON'
import asyncio
import os
import signal
import sys

import uvicorn


async def app(scope, receive, send):
    raise AssertionError("nothing is requested")


async def main(way):
    config = uvicorn.Config(app, port=0, lifespan="off", log_level="error")
    server = uvicorn.Server(config)

    async def end():
        while not server.started:
            await asyncio.sleep(0.01)
        if way == "signal":
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            server.should_exit = True

    ending = asyncio.create_task(end())
    try:
        await server.serve()
    finally:
        await ending
        print("finally", flush=True)


asyncio.run(main(sys.argv[1]))
PYTHON
"$work/venv/bin/python" - "$work/program.py" <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version

found = {}
for way in ("signal", "should_exit"):
    command = [sys.executable, sys.argv[1], way]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    found[way] = (ended.returncode, ended.stdout.strip())
print(f"uvicorn {version('uvicorn')}")
for way, (code, printed) in found.items():
    print(f"  {way}: exit code {code}, printed {printed!r}")
sys.exit(found != {"signal": (-15, ""), "should_exit": (0, "finally")})
PYTHON
