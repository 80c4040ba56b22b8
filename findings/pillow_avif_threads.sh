#!/bin/sh
# The guess: Pillow encodes the same pixels with the same version and quality to the same AVIF file,
#   on every machine.
# What happens: the encoder's threads change the picture. One thread gives other bytes, and other
#   pixels after decoding, than two or more. Pillow takes as many threads as it may use CPUs, so a
#   container with one CPU writes other files than its neighbour with two. Some small pictures are equal.
# Whom it hurts: data sets that are named or compared by the hash of their files, tests with golden
#   files, and caches: they pass on the machine on which they were made. The remedy is max_threads=1.
# Exit code: 0 while the library behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check pillow==13.0.0
"$work/venv/bin/python" - <<'PYTHON'
import hashlib
import io
import sys

import PIL
from PIL import Image, features

print("Pillow", PIL.__version__, "libavif", features.version("avif"))


def picture(size):
    waves = bytes((x * y + 7 * x + 13 * y) % 251 for y in range(16) for x in range(48))
    return Image.frombytes("RGB", (16, 16), waves).resize((size, size), Image.Resampling.BICUBIC)


def hashes(size, threads):
    """Return the hashes of the file and of its pixels."""
    stream = io.BytesIO()
    picture(size).save(stream, "AVIF", quality=75, max_threads=threads)
    pixels = Image.open(io.BytesIO(stream.getvalue())).tobytes()
    return tuple(hashlib.sha256(data).hexdigest()[:8] for data in (stream.getvalue(), pixels))


found = {size: [hashes(size, threads) for threads in (1, 1, 2, 4)] for size in (128, 512, 1024)}
for size, (once, again, two, four) in found.items():
    print(f"{size} x {size}: 1 thread {once}, again {again}, 2 threads {two}, 4 threads {four}")
same = all(
    once == again and two == four and once[0] != two[0] and once[1] != two[1]
    for once, again, two, four in found.values()
)
sys.exit(0 if same else 1)
PYTHON
