#!/usr/bin/env bash
# diffusers reads the alpha of a LoRA from the header of a file, but not from a dict of its tensors.
#
# The guess: FluxLoraLoaderMixin.lora_state_dict(path) and lora_state_dict(load_file(path)) are the
# same: the documentation gives a path and a dict as two forms of one argument.
#
# What happens: save_lora_weights writes rank and alpha into the header of the safetensors file
# (lora_adapter_metadata), not among the tensors. The dict does not hold the header, so the alphas
# are empty and the metadata is None. Whoever multiplies the matrices gets another strength: with
# rank 4 and alpha 32, an eighth of it.
#
# Whom it hurts: everybody who opens a LoRA file to look at its tensors before handing them over.
# Give diffusers the path, or read the header yourself.
#
# Run: bash findings/diffusers_lora_header.sh   (needs the network or a wheel cache, and 2 GB)
# Exits with 0 while diffusers behaves like this, with 1 when it no longer does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 diffusers==0.42.1 transformers==5.23.0 \
  safetensors==0.8.0
cd "$folder" && "$folder/venv/bin/python" - <<'PYTHON'
import sys
from pathlib import Path

import diffusers
import safetensors
import torch
from diffusers import FluxPipeline
from safetensors.torch import load_file

for package in (torch, diffusers, safetensors):
    print(package.__name__, package.__version__)
layer = "transformer_blocks.0.attn.to_q"
FluxPipeline.save_lora_weights(
    Path.cwd(),
    transformer_lora_layers={
        f"{layer}.lora_A.weight": torch.ones(4, 8),
        f"{layer}.lora_B.weight": torch.ones(8, 4),
    },
    transformer_lora_adapter_metadata={"r": 4, "lora_alpha": 32},
)
(path,) = Path.cwd().glob("*.safetensors")
found = {}
for name, given in {"path": str(path), "dict": load_file(path)}.items():
    tensors, alphas, metadata = FluxPipeline.lora_state_dict(
        given, return_alphas=True, return_lora_metadata=True
    )
    print(f"{name}: {len(tensors)} tensors, alphas {alphas}, metadata {metadata}")
    found[name] = (metadata or {}).get("transformer.lora_alpha"), alphas
as_described = found == {"path": (32, {}), "dict": (None, {})}
print("as described" if as_described else "NO LONGER as described")
sys.exit(not as_described)
PYTHON
