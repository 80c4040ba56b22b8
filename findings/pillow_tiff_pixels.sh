#!/usr/bin/env bash
# Pillow opens some valid TIFF files with wrong pixels, without an error.
#
# The guess: Pillow decodes a TIFF file by its tags, or raises an error.
#
# What happens: `Image.open(...).load()` succeeds, and the pixels are wrong, for
#   - RGB with 16 bits in separate planes, uncompressed: the planes are read as 8-bit samples
#     (compressed, they are right);
#   - grey with 16 bits and white as zero: a negative (with 8 bits it is right);
#   - palettes whose entries are from 0 to 255, as libtiff recognises them: all black;
#   - grey with 12 bits: mode I;16 with values up to 4095, which every conversion of 16 bits takes
#     for a dark picture;
#   - Lab with 8 bits in separate planes: other colours.
#
# Whom it hurts: everybody who takes TIFF files from others: scanners, microscopes, prepress. Read
# the tags first (BitsPerSample, PhotometricInterpretation, PlanarConfiguration), or use tifffile.
#
# Run: bash findings/pillow_tiff_pixels.sh   (needs the network or a wheel cache)
# Exits with 0 while Pillow behaves like this, with 1 when it no longer does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 numpy==2.4.6 tifffile==2026.3.3 \
  imagecodecs==2026.3.6
cd "$folder" && "$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import numpy as np
import PIL
import tifffile
from PIL import Image

print("python", sys.version.split()[0])
print("Pillow", PIL.__version__, "tifffile", tifffile.__version__)
HEIGHT, WIDTH = 16, 32
GREY = np.tile(np.linspace(0, 1, WIDTH), (HEIGHT, 1))
RGB = np.stack([GREY, GREY[:, ::-1], np.full_like(GREY, 0.3)], axis=-1)


def written(pixels, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    buffer.seek(0)
    assert np.array_equal(tifffile.imread(buffer), pixels)  # another library reads it right
    return buffer


def levels(buffer):
    """The pixels that Pillow shows, from 0 to 255."""
    buffer.seek(0)
    image = Image.open(buffer)
    image.load()
    pixels = np.asarray(image)
    if image.mode.startswith("I;16"):
        pixels = pixels / 257
    elif image.mode != "RGB":
        pixels = np.asarray(image.convert("RGB"))
    return pixels, image.mode


def whole(values, bits):
    return np.round(values * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


planes = np.moveaxis(whole(RGB, 16), -1, 0).copy()
ramp = np.arange(256, dtype=np.uint16)
neutral = np.full((HEIGHT, WIDTH), 0, np.uint8)
lab = np.stack([whole(GREY, 8), neutral, neutral])
grey = np.repeat(GREY[..., None], 3, -1)
FILES = {
    "RGB, 16 bits, planes": (
        written(planes, photometric="rgb", planarconfig="separate"),
        RGB,
    ),
    "grey, 16 bits, white is zero": (
        written(whole(1 - GREY, 16), photometric="miniswhite"),
        GREY,
    ),
    "palette of 0..255": (
        written(whole(GREY, 8), photometric="palette", colormap=np.stack([ramp] * 3)),
        grey,
    ),
    "grey, 12 bits": (
        written(
            np.round(GREY * 4095).astype(np.uint16), photometric="minisblack", bitspersample=12
        ),
        GREY,
    ),
    "Lab, 8 bits, planes": (
        written(lab, photometric="cielab", planarconfig="separate"),
        grey,
    ),
}
as_described = True
for name, (buffer, want) in FILES.items():
    shown, mode = levels(buffer)
    off = float(np.abs(shown - want * 255).max())
    print(f"{name}: mode {mode}, largest difference {off:.0f} of 255")
    as_described &= off > 100
packed = written(planes, photometric="rgb", planarconfig="separate", compression="zlib")
off = float(np.abs(levels(packed)[0] - RGB * 255).max())
print(f"RGB, 16 bits, planes, Deflate: largest difference {off:.0f} of 255")
as_described &= off < 2
print("as described" if as_described else "NO LONGER as described")
sys.exit(not as_described)
PYTHON
