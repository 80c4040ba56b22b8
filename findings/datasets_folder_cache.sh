#!/bin/sh
# The guess: datasets.load_dataset("folder") notices that the files in a local folder have changed.
# What happens: it does not. If the folder has a README.md that lists its data files, the cache entry
#   follows from the folder's name and that header. Another folder of the same name, and the same
#   folder with new files, both give the rows that were cached first, without a warning. A different
#   `description` of the config in that header gives another cache entry.
# Whom it hurts: everyone who writes a dataset to the same place twice, or keeps two of them in
#   folders of the same name, and trains on what load_dataset returns.
# Exit code: 0 while the library behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1
cd "$work"
HF_HOME="$work/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 venv/bin/python - <<'PYTHON'
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

CARD = """---
configs:
- config_name: default
  description: {}
  data_files:
  - split: train
    path: data/*.parquet
---
"""


def loaded(folder, text, description):
    data = Path(folder, "data")
    data.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"text": [text]}), data / "a.parquet")
    Path(folder, "README.md").write_text(CARD.format(description))
    return datasets.load_dataset(folder, split="train")["text"][0]


found = {
    "first": loaded("one/set", "first", "contents 1"),
    "another folder of the same name": loaded("two/set", "second", "contents 1"),
    "the first folder with new rows": loaded("one/set", "third", "contents 1"),
    "with another description": loaded("one/set", "third", "contents 2"),
}
print(f"datasets {datasets.__version__}, pyarrow {pa.__version__}")
for case, text in found.items():
    print(f"  {case}: {text}")
sys.exit(list(found.values()) != ["first", "first", "first", "third"])
PYTHON
