"""Every layout of the table in docs/presets.md, read from a file and compared by number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from diffusers.loaders import FluxLoraLoaderMixin

from tests.uso_core.loading.lora_files import RANK, Tensors, changes, check, numbers, shapes, write

PAGE = Path(__file__).parents[3] / "docs" / "presets.md"

DOUBLE, SINGLE = "transformer_blocks.1", "single_transformer_blocks.0"
QKV = [f"{DOUBLE}.attn.to_{name}" for name in "qkv"]
ADDED_QKV = [f"{DOUBLE}.attn.add_{name}_proj" for name in "qkv"]
LINEAR1 = [*(f"{SINGLE}.attn.to_{name}" for name in "qkv"), f"{SINGLE}.proj_mlp"]
TIME = "time_text_embed"

# Black Forest Labs' names: layers of a file → modules whose rows follow each other in it.
ORIGINAL = {
    "double_blocks.1.img_attn.qkv": QKV,
    "double_blocks.1.txt_attn.qkv": ADDED_QKV,
    "double_blocks.1.img_attn.proj": [f"{DOUBLE}.attn.to_out.0"],
    "double_blocks.1.txt_attn.proj": [f"{DOUBLE}.attn.to_add_out"],
    "double_blocks.1.img_mlp.0": [f"{DOUBLE}.ff.net.0.proj"],
    "double_blocks.1.img_mlp.2": [f"{DOUBLE}.ff.net.2"],
    "double_blocks.1.txt_mlp.0": [f"{DOUBLE}.ff_context.net.0.proj"],
    "double_blocks.1.txt_mlp.2": [f"{DOUBLE}.ff_context.net.2"],
    "double_blocks.1.img_mod.lin": [f"{DOUBLE}.norm1.linear"],
    "double_blocks.1.txt_mod.lin": [f"{DOUBLE}.norm1_context.linear"],
    "single_blocks.0.linear1": LINEAR1,
    "single_blocks.0.linear2": [f"{SINGLE}.proj_out"],
    "single_blocks.0.modulation.lin": [f"{SINGLE}.norm.linear"],
    "img_in": ["x_embedder"],
    "txt_in": ["context_embedder"],
    "time_in.in_layer": [f"{TIME}.timestep_embedder.linear_1"],
    "time_in.out_layer": [f"{TIME}.timestep_embedder.linear_2"],
    "vector_in.in_layer": [f"{TIME}.text_embedder.linear_1"],
    "vector_in.out_layer": [f"{TIME}.text_embedder.linear_2"],
    "guidance_in.in_layer": [f"{TIME}.guidance_embedder.linear_1"],
    "guidance_in.out_layer": [f"{TIME}.guidance_embedder.linear_2"],
    "final_layer.linear": ["proj_out"],
    "final_layer.adaLN_modulation.1": ["norm_out.linear"],
}
DIFFUSERS = {name: [name] for names in ORIGINAL.values() for name in names}
XLABS = {
    "double_blocks.1.processor.qkv_lora1": QKV,
    "double_blocks.1.processor.qkv_lora2": ADDED_QKV,
    "double_blocks.1.processor.proj_lora1": [f"{DOUBLE}.attn.to_out.0"],
    "double_blocks.1.processor.proj_lora2": [f"{DOUBLE}.attn.to_add_out"],
    "single_blocks.0.processor.qkv_lora": LINEAR1[:3],
    "single_blocks.0.processor.proj_lora": [f"{SINGLE}.proj_out"],
}


@dataclass(frozen=True)
class Layout:
    """The names that a program gives to the tensors of a LoRA."""

    prefix: str
    layers: Mapping[str, list[str]]
    down: str
    up: str
    alpha: str | None = None
    flat: bool = False

    def stem(self, layer: str) -> str:
        return self.prefix + (layer.replace(".", "_") if self.flat else layer)


PEFT_PAIR = (".lora_A.weight", ".lora_B.weight")
KOHYA_PAIR = (".lora_down.weight", ".lora_up.weight")
NAMED_PAIR = (".lora_A.default.weight", ".lora_B.default.weight")
ALPHA = ".alpha"
LAYOUTS = {
    "diffusers": [
        Layout("transformer.", DIFFUSERS, *PEFT_PAIR),
        Layout("transformer.", DIFFUSERS, *PEFT_PAIR, ALPHA),
        Layout("transformer.", DIFFUSERS, *KOHYA_PAIR, ALPHA),
        Layout("transformer.", DIFFUSERS, ".lora.down.weight", ".lora.up.weight"),
    ],
    "diffusers without a prefix": [Layout("", DIFFUSERS, *PEFT_PAIR)],
    "kohya": [Layout("lora_unet_", ORIGINAL, *KOHYA_PAIR, ALPHA, flat=True)],
    "OneTrainer": [Layout("lora_transformer_", DIFFUSERS, *KOHYA_PAIR, ALPHA, flat=True)],
    "XLabs": [
        Layout("", XLABS, ".down.weight", ".up.weight"),
        Layout("diffusion_model.", XLABS, ".down.weight", ".up.weight"),
    ],
    "ComfyUI": [
        Layout("diffusion_model.", ORIGINAL, *KOHYA_PAIR, ALPHA),
        Layout("diffusion_model.", ORIGINAL, *PEFT_PAIR),
        Layout("model.diffusion_model.", ORIGINAL, *PEFT_PAIR),
    ],
    "Black Forest Labs": [
        Layout("", ORIGINAL, *PEFT_PAIR),
        Layout("", ORIGINAL, *KOHYA_PAIR, ALPHA),
    ],
    "PEFT": [
        Layout("base_model.model.", DIFFUSERS, *PEFT_PAIR),
        Layout("base_model.model.", ORIGINAL, *PEFT_PAIR),
        Layout("base_model.model.transformer.", DIFFUSERS, *NAMED_PAIR),
        Layout("", DIFFUSERS, *NAMED_PAIR),
    ],
    "LyCORIS": [Layout("lycoris_", DIFFUSERS, *KOHYA_PAIR, ALPHA, flat=True)],
}
CASES = [
    pytest.param(layout, id=f"{name} {i}")
    for name, layouts in LAYOUTS.items()
    for i, layout in enumerate(layouts, start=1)
]


def rows_of(module: str) -> int:
    return shapes()[f"{module}.weight"][0]


def lora(layout: Layout, dtype: torch.dtype = torch.float32) -> tuple[Tensors, Tensors]:
    """A file's tensors, and the product that each weight is expected to gain."""
    tensors: Tensors = {}
    expected: Tensors = {}
    for seed, (layer, modules) in enumerate(layout.layers.items()):
        columns = shapes()[f"{modules[0]}.weight"][1]
        down = numbers(RANK, columns, seed=seed).to(dtype)
        up = numbers(sum(map(rows_of, modules)), RANK, seed=100 + seed).to(dtype)
        alpha = 1.0 + seed if layout.alpha else float(RANK)
        stem = layout.stem(layer)
        tensors |= {stem + layout.down: down, stem + layout.up: up}
        if layout.alpha:
            tensors[stem + layout.alpha] = torch.tensor(alpha)
        product = alpha / RANK * up.float() @ down.float()
        if layer == "final_layer.adaLN_modulation.1":  # its file has the shift before the scale
            product = torch.cat([product[64:], product[:64]])
        start = 0
        for module in modules:
            expected[f"{module}.weight"] = product[start : start + rows_of(module)]
            start += rows_of(module)
    return tensors, expected


@pytest.mark.parametrize("layout", CASES)
def test_every_layer_is_read_by_number(layout: Layout, tmp_path: Path) -> None:
    tensors, expected = lora(layout)
    check(changes(write(tmp_path, tensors)), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_every_dtype_is_computed_in_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    tensors, expected = lora(LAYOUTS["kohya"][0], dtype)
    check(changes(write(tmp_path, tensors)), expected)


def test_dtypes_and_layouts_may_be_mixed_in_one_file(tmp_path: Path) -> None:
    kohya, from_kohya = lora(LAYOUTS["kohya"][0])
    kohya = {key: tensor.half() for key, tensor in kohya.items() if "_blocks_" in key}
    peft, from_peft = lora(LAYOUTS["PEFT"][0], torch.bfloat16)
    peft = {key: tensor for key, tensor in peft.items() if "_blocks." not in key}
    found = changes(write(tmp_path, kohya | peft))
    for name, change in found.items():
        expected = from_kohya if "_blocks." in name else from_peft
        torch.testing.assert_close(change, expected[name], atol=0.02, rtol=0.01)
    assert len(found) == len(DIFFUSERS)


@pytest.mark.parametrize(
    "layout", [LAYOUTS["kohya"][0], LAYOUTS["XLabs"][0], LAYOUTS["OneTrainer"][0]]
)
def test_diffusers_reads_the_same_of_attention(layout: Layout, tmp_path: Path) -> None:
    """Its converters know the full model's sizes only, so the layers with 5 parts are left out."""
    only = Layout(
        layout.prefix,
        {layer: names for layer, names in layout.layers.items() if "attn.to_" in names[0]
         and len(names) < 4},
        layout.down, layout.up, layout.alpha, layout.flat,
    )  # fmt: skip
    tensors, _ = lora(only)
    converted = FluxLoraLoaderMixin.lora_state_dict(dict(tensors))
    stems = {key.rpartition(".lora_")[0] for key in converted}
    expected = {
        f"{stem.removeprefix('transformer.')}.weight": converted[f"{stem}.lora_B.weight"]
        @ converted[f"{stem}.lora_A.weight"]
        for stem in stems
    }
    assert len(expected) >= 4
    check(changes(write(tmp_path, tensors)), expected)


def test_the_table_of_the_page_has_exactly_these_layouts() -> None:
    table = PAGE.read_text().split("| layout |")[1].split("\n\n")[0]
    rows = [re.split(r" *\| *", line)[1] for line in table.splitlines()[2:]]
    assert rows == list(LAYOUTS)
