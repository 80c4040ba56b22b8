#!/bin/sh
# The guess: `datasets` reads the JSON files of WebDataset shards as they are, or refuses them.
# What happens: the first five samples give the types. Where a score is a whole number in them, all
#   later scores are cut to whole numbers: 0.9 becomes 0, with no word of it. A field that the first
#   five lack is left out. (A field that is null in them is refused.) Streaming and loading agree.
# Whom it hurts: whoever stores ratings or scores beside pictures, and writes 1 and 0.9 as JSON does:
#   filters such as `score > 0.5` then throw away most of the set. The remedy is a dataset card that
#   declares the features, or floats that are written as floats.
# Exit code: 0 while the library behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 \
  pillow==13.0.0 2>/dev/null
HF_HUB_OFFLINE=1 HF_HOME="$work/home" "$work/venv/bin/python" - "$work" <<'PYTHON' 2>/dev/null
import io
import json
import sys
import tarfile
from pathlib import Path

import datasets
import pyarrow as pa
from PIL import Image

print("datasets", datasets.__version__, "pyarrow", pa.__version__)
work = Path(sys.argv[1])
datasets.disable_progress_bars()
picture = io.BytesIO()
Image.new("RGB", (8, 8)).save(picture, "PNG")


def write(path, rows):
    with tarfile.open(path, "w") as tar:
        for number, fields in enumerate(rows):
            files = {"png": picture.getvalue(), "json": json.dumps(fields).encode()}
            for extension, data in files.items():
                member = tarfile.TarInfo(f"{number:04}.{extension}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def read(name, rows, **options):
    (work / name).mkdir(exist_ok=True)
    write(work / name / "shard.tar", rows)
    files = str(work / name / "*.tar")
    loaded = datasets.load_dataset("webdataset", data_files=files, split="train", **options)
    return [sample["json"] for sample in loaded]


scores = [{"score": score} for score in (1, 0, 1, 1, 0, 0.9, 0.95, 0.25)]
whole = read("scores", scores)
streamed = read("scores", scores, streaming=True)
print("stored: ", [row["score"] for row in scores])
print("read:   ", [row["score"] for row in whole], "streamed:", [row["score"] for row in streamed])
late = read("late", [{"score": 0.5}] * 5 + [{"score": 0.5, "note": "cropped by hand"}])
print("a field from the sixth sample on:", late[-1])
cut = [{"score": score} for score in (1, 0, 1, 1, 0, 0, 0, 0)]
sys.exit(0 if whole == streamed == cut and late[-1] == {"score": 0.5} else 1)
PYTHON
