#!/bin/sh
# The guess: fsspec's HTTP filesystem tells a server that is down from a file that does not exist.
# What happens: `info` raises FileNotFoundError for every failure: a refused connection, HTTP 503, an
#   unknown host. `exists` then returns False. The real cause is only in `__cause__`.
# Whom it hurts: code that reads over http(s) and creates, skips or gives up what "does not exist"
#   while the server is away for a minute. Retries that leave out FileNotFoundError never happen.
# Exit code: 0 while the library behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check fsspec==2026.9.0 aiohttp==3.14.5
"$work/venv/bin/python" - <<'PYTHON'
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import aiohttp
import fsspec


class Unavailable(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Unavailable)
threading.Thread(target=server.serve_forever, daemon=True).start()
fs = fsspec.filesystem("http")
places = {
    "nothing listens": "http://127.0.0.1:9/a",
    "HTTP 503": f"http://127.0.0.1:{server.server_port}/a",
}
print(f"fsspec {fsspec.__version__}, aiohttp {aiohttp.__version__}")
same = True
for case, url in places.items():
    try:
        fs.info(url)
    except Exception as error:
        print(f"  {case}: info raises {type(error).__name__} from {type(error.__cause__).__name__}")
        same = same and type(error) is FileNotFoundError
    print(f"  {case}: exists is {fs.exists(url)}")
    same = same and fs.exists(url) is False
sys.exit(not same)
PYTHON
