#!/bin/sh
# The guess: `import transformers` is lazy, so the time of an import is that of the model's own module.
# What happens: to know which names it has, transformers reads the files of all its models: at
#   the import of `transformers`, and again at that of `transformers.models`, which each model's
#   module needs. The folders' answers are remembered, but the memory (`lru_cache`) has 128 places for
#   450 folders, which are asked for in the same order: by the second pass all are forgotten.
# Whom it hurts: command-line tools and workers that start often: twice a quarter of a second of
#   CPU, as much as a fifth of the import of PyTorch and transformers together.
# Exit code: 0 while transformers behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check transformers==5.23.0 2>/dev/null
"$work/venv/bin/python" - <<'PYTHON' 2>/dev/null
import sys
import time

read = {}


def count(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".py") and "/transformers/models/" in str(arguments[0]):
        read[str(arguments[0])] = read.get(str(arguments[0]), 0) + 1


began = time.process_time()
import transformers

first = time.process_time() - began
sys.addaudithook(count)
import transformers.models

second = time.process_time() - began - first
print("transformers", transformers.__version__)
print(f"import transformers {first:.2f} s of CPU, transformers.models {second:.2f} s more")
print(len(read), "files are read again for the second")
sys.exit(0 if len(read) > 1000 else 1)
PYTHON
