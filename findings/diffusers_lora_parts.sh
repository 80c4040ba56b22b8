#!/usr/bin/env bash
# diffusers leaves out parts of FLUX LoRA files, without an error.
#
# The guess: a converter returns every tensor of a file under a new name, or raises an error.
#
# What happens: FluxLoraLoaderMixin.lora_state_dict raises an error for some unknown keys. For
# others it returns the rest of the file, and logs this at the level INFO (DoRA: WARNING) or never:
#   - T5 and CLIP layers in ComfyUI's layout, `.diff_b`, and norms' `.diff`, whatever their values;
#   - every key in a second layout (`lora_unet_` beside `transformer.`);
#   - `dora_scale`, so that a DoRA becomes another LoRA;
#   - the alpha of kohya's final_layer, so that its update has another strength;
#   - all but one of OneTrainer's layers beside attention: they get the same name.
# kohya's layers outside the blocks lose their prefix `transformer.`, and diffusers loads no key
# without it.
#
# Whom it hurts: everybody who merges what the converter returns. The LoRA takes effect in part, and
# nothing tells. Compare the keys before and after, or read the layouts yourself.
#
# Run: bash findings/diffusers_lora_parts.sh   (needs the network or a wheel cache, and 2 GB)
# Exits with 0 while diffusers behaves like this, with 1 when it no longer does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 diffusers==0.42.1 transformers==5.23.0 \
  safetensors==0.8.0
cd "$folder" && "$folder/venv/bin/python" - <<'PYTHON'
import sys

import diffusers
import torch
from diffusers.loaders import FluxLoraLoaderMixin

print("python", sys.version.split()[0])
print("torch", torch.__version__, "diffusers", diffusers.__version__)
RANK, WIDTH = 4, 8
random = torch.Generator().manual_seed(0)


def pair(layer, down, up, alpha=None):
    """The tensors of one layer."""
    tensors = {
        layer + down: torch.randn(RANK, WIDTH, generator=random),
        layer + up: torch.randn(WIDTH, RANK, generator=random),
    }
    return tensors | ({f"{layer}.alpha": torch.tensor(float(alpha))} if alpha else {})


KOHYA, PEFT = (".lora_down.weight", ".lora_up.weight"), (".lora_A.weight", ".lora_B.weight")
kohya = pair("lora_unet_double_blocks_0_img_attn_proj", *KOHYA)
comfy = pair("diffusion_model.double_blocks.0.img_attn.proj", *KOHYA)
peft = pair("transformer.transformer_blocks.0.attn.to_q", *PEFT)
norm = "diffusion_model.double_blocks.0.img_attn.norm.query_norm.diff"
t5 = "text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q"
clip = "text_encoders.clip_l.transformer.text_projection"
one_trainer = "lora_transformer_transformer_blocks_0_ff_net_"
FILES = {
    "ComfyUI with T5": comfy | pair(t5, *KOHYA),
    "ComfyUI with CLIP's text_projection": comfy | pair(clip, *KOHYA),
    "ComfyUI with a norm's .diff": comfy | {norm: torch.ones(WIDTH)},
    "kohya with .diff_b": kohya
    | {"lora_unet_double_blocks_0_img_attn_proj.diff_b": torch.ones(WIDTH)},
    "kohya beside PEFT": kohya | peft,
    "PEFT with dora_scale": peft
    | {"transformer.transformer_blocks.0.attn.to_q.dora_scale": torch.ones(WIDTH, 1)},
    "OneTrainer's feed-forward layers": pair(f"{one_trainer}0_proj", *KOHYA, alpha=4)
    | pair(f"{one_trainer}2", *KOHYA, alpha=4),
}
as_described = True
for name, tensors in FILES.items():
    converted = FluxLoraLoaderMixin.lora_state_dict(dict(tensors))
    print(f"{name}: {len(tensors)} tensors in, {len(converted)} out: {', '.join(converted)}")
    as_described &= len(converted) == 2  # one pair of matrices is left of every file

final = pair("lora_unet_final_layer_linear", *KOHYA, alpha=1)
converted = FluxLoraLoaderMixin.lora_state_dict(dict(final))
product = converted["proj_out.lora_B.weight"] @ converted["proj_out.lora_A.weight"]
down, up = (final[f"lora_unet_final_layer_linear{part}"] for part in KOHYA)
strength = (product / (up @ down)).mean().item()
print(f"kohya's final_layer, alpha 1, rank {RANK}: {', '.join(converted)}, strength {strength:.2f}")
as_described &= abs(strength - 1) < 1e-3  # alpha / rank would be 0.25
print("as described" if as_described else "NO LONGER as described")
sys.exit(not as_described)
PYTHON
