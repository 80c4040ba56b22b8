#!/bin/sh
# The guess: gcsfs with an `endpoint_url` that starts with http:// sends nothing but HTTP requests there.
# What happens: since its support of zonal buckets is on by default, most operations first ask for the
#   type of the bucket over gRPC with TLS, at the same host and port. At an endpoint that has only
#   HTTP they try for 60 s and go on then. The result is not kept, so the next operation waits again.
#   Only an environment variable that is set before gcsfs is imported turns this off.
# Whom it hurts: everyone who uses gcsfs with an emulator, a proxy, or a store with Google's JSON API:
#   each file costs a minute more, without an error.
# Exit code: 0 while the library behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
  gcsfs==2026.10.1 fsspec==2026.9.0 gcp-storage-emulator==2026.7.19
port=$("$work/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$work/venv/bin/gcp-storage-emulator" --data-dir "$work/data" start -q --host 127.0.0.1 --port "$port" \
  --default-bucket bucket >/dev/null 2>&1 &
server=$!
cat >"$work/take.py" <<'PYTHON'
import sys
import time

import gcsfs

fs = gcsfs.GCSFileSystem(endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", token="anon", project="p")
started = time.monotonic()
fs.pipe_file("bucket/a", b"content")
print(f"{time.monotonic() - started:.0f}")
PYTHON
sleep 2
cd "$work"
with=$(venv/bin/python take.py "$port" 2>/dev/null)
without=$(GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT=false venv/bin/python take.py "$port" 2>/dev/null)
venv/bin/python -c 'import importlib.metadata as m; print("gcsfs", m.version("gcsfs"), "fsspec", m.version("fsspec"))'
echo "  writing one object, by default: $with s"
echo "  writing one object, with GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT=false: $without s"
[ "$with" -ge 50 ] && [ "$without" -le 20 ]
