#!/bin/sh
# The guess: an `Image.Exif` that Pillow stores in a JPEG and a WebP file, it stores in an AVIF file.
# What happens: with a user comment alone, which stands in the Exif part of its own (0x8769), the JPEG
#   and the WebP have it, and the AVIF has no EXIF at all, without an error. The AVIF encoder asks
#   whether the object is true, and its length counts only the first part. The same as bytes is stored.
# Whom it hurts: programs that write prompts, settings or licences into the comment of pictures, and
#   add AVIF as one more format: the pictures lose them silently.
# Exit code: 0 while the library behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check pillow==13.0.0
"$work/venv/bin/python" - <<'PYTHON'
import io
import sys

import PIL
from PIL import Image

print("Pillow", PIL.__version__)
EXIF_PART, USER_COMMENT = 0x8769, 0x9286
exif = Image.Exif()
exif.get_ifd(EXIF_PART)[USER_COMMENT] = b"ASCII\0\0\0a cat"


def stored(name, given):
    """Return the comment that a file of a format has."""
    stream = io.BytesIO()
    Image.new("RGB", (32, 24)).save(stream, name, exif=given)
    return Image.open(stream).getexif().get_ifd(EXIF_PART).get(USER_COMMENT)


as_object = {name: stored(name, exif) for name in ("JPEG", "WEBP", "AVIF")}
as_bytes = {name: stored(name, exif.tobytes()) for name in ("JPEG", "WEBP", "AVIF")}
print("an Exif object:", as_object)
print("its bytes:     ", as_bytes)
kept = b"ASCII\0\0\0a cat"
same = as_object == {"JPEG": kept, "WEBP": kept, "AVIF": None} and {*as_bytes.values()} == {kept}
sys.exit(0 if same else 1)
PYTHON
