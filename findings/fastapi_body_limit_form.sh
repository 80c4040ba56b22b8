#!/bin/sh
# The guess: a body over FastAPI's `max_body_size` ends in an HTTPException with status 413, so the
#   application's own handler of HTTPException gives the answer its form, as for every other error.
# What happens: the handler is not called. The answer is `text/plain`, "Content Too Large", whether
#   the route reads the body or FastAPI reads it for the route.
# Whom it hurts: servers whose clients parse one error format: a proxy of another API, problem+json.
# Exit code: 0 while the library behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check fastapi==0.165.0 starlette==1.10.0
"$work/venv/bin/python" - <<'PYTHON'
import asyncio
import sys

import fastapi
import starlette
from fastapi import Body, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

app = FastAPI(max_body_size=10)


@app.exception_handler(HTTPException)
async def own_form(_request, error):
    return JSONResponse({"own": error.status_code}, error.status_code)


@app.post("/route-reads")
async def route_reads(request: Request):
    await request.body()


@app.post("/fastapi-reads")
async def fastapi_reads(value: dict = Body()):
    return value


async def post(path):
    body = b'{"a": "longer than ten bytes"}'
    sent = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "path": path, "raw_path": path.encode(), "query_string": b"", "scheme": "http",
        "headers": [
            (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))
        ],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    headers = dict(sent[0]["headers"])
    content = b"".join(each.get("body", b"") for each in sent[1:])
    return sent[0]["status"], headers[b"content-type"].decode(), content.decode()


print(f"fastapi {fastapi.__version__}, starlette {starlette.__version__}")
answers = {path: asyncio.run(post(path)) for path in ("/route-reads", "/fastapi-reads")}
for path, answer in answers.items():
    print(f"  {path}: {answer}")
same = all(kind.startswith("text/plain") for _, kind, _ in answers.values())
sys.exit(not (same and {status for status, _, _ in answers.values()} == {413}))
PYTHON
