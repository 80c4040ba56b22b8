#!/bin/sh
# The guess: an imagefolder may have a metadata.jsonl in each of its subfolders, and load_dataset
#   finds the type of a column in whichever of them has a value.
# What happens: the types of all columns come from the beginning of one of the files. A column that
#   is null there has the type null, and a value in another file ends the loading with
#   DatasetGenerationError ("Couldn't cast array of type string to null"). Types in the README's
#   dataset_info are not used. One file that begins with rows that have a value in each column loads.
# Whom it hurts: everyone who writes image folders in pieces, with columns that few rows fill: the
#   dataset loads or fails by the order of its files.
# Exit code: 0 while the library behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 pillow==13.0.0
cd "$work"
HF_HOME="$work/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 venv/bin/python - <<'PYTHON'
import json
import sys
from pathlib import Path

import datasets
import pyarrow as pa
from PIL import Image
from datasets.exceptions import DatasetGenerationError

NOTES = (None, "seen")


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)


def in_pieces(folder, notes):
    for number, note in enumerate(notes):
        piece = Path(folder, f"train/{number}")
        image(piece / "a.png")
        (piece / "metadata.jsonl").write_text(json.dumps({"file_name": "a.png", "note": note}))


def in_one(folder, notes):
    lines = []
    for number, note in enumerate(notes):
        image(Path(folder, f"train/{number}/a.png"))
        lines.append(json.dumps({"file_name": f"{number}/a.png", "note": note}))
    Path(folder, "train/metadata.jsonl").write_text("\n".join(lines) + "\n")


def outcome(folder, write, notes):
    write(folder, notes)
    try:
        rows = datasets.load_dataset("imagefolder", data_dir=folder, split="train")
    except DatasetGenerationError as error:
        return f"fails: {error.__cause__}"
    return sorted(map(str, rows["note"]))


# The file that is read for the types is any one, so there are enough without a value.
found = {
    "pieces, one of 20 with a value": outcome("pieces", in_pieces, [None] * 19 + ["seen"]),
    "pieces, each with a value": outcome("full", in_pieces, ["seen", "seen"]),
    "one file, led by a row with a value": outcome("one", in_one, ["seen", None, None]),
}
print(f"datasets {datasets.__version__}, pyarrow {pa.__version__}")
for case, text in found.items():
    print(f"  {case}: {text}")
first, *others = found.values()
sys.exit(not str(first).startswith("fails") or others != [["seen"] * 2, ["None", "None", "seen"]])
PYTHON
