#!/usr/bin/env bash
# tifffile writes wrong pixels into big-endian files with 10, 12 or 14 bits per sample.
#
# The guess: `imwrite(..., bitspersample=12, byteorder=">")` stores the same pixels as with "<":
# TIFF packs such samples from the highest bit on, whatever the byte order of the file.
#
# What happens: the two bytes of each number are swapped before it is packed, and the high ones of
# the swapped number are lost. 0x123 becomes 0x301. tifffile reads the file back with these values,
# and so do other readers. There is no error.
#
# Whom it hurts: people who write camera or microscope data for readers that want big-endian files.
# Write them little-endian, or with 16 bits.
#
# Run: bash findings/tifffile_packed_bits_big_endian.sh   (needs the network or a wheel cache)
# Exits with 0 while tifffile behaves like this, with 1 when it no longer does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 tifffile==2026.3.3 imagecodecs==2026.3.6
cd "$folder" && "$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import imagecodecs
import numpy as np
import tifffile

print("python", sys.version.split()[0])
print("tifffile", tifffile.__version__, "imagecodecs", imagecodecs.__version__)
PIXELS = np.array([[0x000, 0x123, 0x456, 0x789]], np.uint16)
RIGHT = bytes.fromhex("000123456789")
stored = {}
for order in "<>":
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, PIXELS, photometric="minisblack", bitspersample=12, byteorder=order, metadata=None
    )
    buffer.seek(0)
    with tifffile.TiffFile(buffer) as file:
        page = file.pages[0]
        start = page.dataoffsets[0]
        end = start + page.databytecounts[0]
        stored[order] = buffer.getvalue()[start:end]
        back = page.asarray()
    print(f"byteorder {order}: bytes {stored[order].hex()}, read back {back.tolist()}")
as_described = stored["<"] == RIGHT and stored[">"] != RIGHT
print("as described" if as_described else "NO LONGER as described")
sys.exit(not as_described)
PYTHON
