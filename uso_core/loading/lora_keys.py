"""Keys of LoRA files: which layer of the transformer each one names, and in whose layout.

A key is `<prefix><layer>.<part>`, as in `lora_unet_double_blocks_0_img_attn_proj.lora_up.weight`.
Layouts differ in the prefix, in the names of layers (diffusers' or Black Forest Labs'), in dots or
underscores, and in the names of parts. They mix in practice, so each is read on its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from uso_core.loading.key_mapping import lora_targets, transformer_rules

Part = Literal["down", "up", "up_bias", "alpha", "magnitude", "diff", "diff_b", "unread"]

# An adapter's name may stand in the middle: `lora_A.default.weight`.
_PARTS: tuple[tuple[Part, re.Pattern[str]], ...] = (
    ("down", re.compile(r"\.(?:lora_A(?:\.[^.]+)?|lora_down|lora\.down|down)\.weight$")),
    ("up", re.compile(r"\.(?:lora_B(?:\.[^.]+)?|lora_up|lora\.up|up)\.weight$")),
    ("up_bias", re.compile(r"\.(?:lora_B(?:\.[^.]+)?|lora_up)\.bias$")),
    ("alpha", re.compile(r"\.alpha$")),
    ("magnitude", re.compile(r"\.(?:dora_scale|lora_magnitude_vector(?:\.[^.]+)?(?:\.weight)?)$")),
    ("diff", re.compile(r"\.diff$")),
    ("diff_b", re.compile(r"\.diff_b$")),
)
_PREFIXES = (
    "transformer.",
    "diffusion_model.",
    "base_model.model.",
    "model.",
    "lora_unet_",
    "lora_unet.",
    "lora_transformer_",
    "lycoris_",
)
_LAYOUTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r".*\.processor\."), "XLabs"),
    (re.compile(r"lora_(unet|te\d?)[._]"), "kohya"),
    (re.compile(r"lora_transformer_"), "OneTrainer"),
    (re.compile(r"lycoris_"), "LyCORIS"),
    (re.compile(r"base_model\."), "PEFT"),
    (re.compile(r"(model\.)?diffusion_model\.|text_encoders\."), "ComfyUI"),
    (re.compile(r"(transformer|text_encoder(_2)?)\."), "diffusers"),
    (re.compile(r"(single_)?transformer_blocks\."), "diffusers without a prefix"),
    (re.compile(r"(double_blocks|single_blocks|(img|txt|time|vector|guidance)_in|final_layer)\."),
     "Black Forest Labs"),
)  # fmt: skip
_METHODS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\.hada_"), "LoHa"),
    (re.compile(r"\.lokr_"), "LoKr"),
    (re.compile(r"\.(oft_|boft_|oft_R)"), "OFT"),
    (re.compile(r"\.(a1|a2|b1|b2)\.weight$"), "GLoRA"),
    (re.compile(r"\.(vera_|glora_|ia3_|lora_embedding_)"), "another method of PEFT"),
    (re.compile(r"\.lora_mid\."), "LoCon"),
)
_OF_TEXT_ENCODER = re.compile(
    r"(base_model\.model\.)?(lora_te\d?_|text_encoders?[._]|text_model\.|te\d?[._]|clip_|t5)"
)


@dataclass(frozen=True)
class Layer:
    """The layers of the transformer that one layer of a file stands for.

    Attributes:
        names: modules, without `.weight`; consecutive rows belong to consecutive modules.
        halves_swapped: the file has the two halves of the rows in the other order.
    """

    names: tuple[str, ...]
    halves_swapped: bool = False


def split_key(key: str) -> tuple[str, Part]:
    """Return a key's layer, with its prefix, and its part; of an unread part, the whole key."""
    for part, pattern in _PARTS:
        if match := pattern.search(key):
            return key[: match.start()], part
    return key, "unread"


def layers_of(weights: Iterable[str]) -> dict[str, Layer]:
    """Return every layer that a file may name, by its names in all layouts, with underscores.

    Args:
        weights: names of the transformer's parameters, by diffusers' names.
    """
    names = {name.rpartition(".")[0] for name in weights}
    layers = {name: Layer((name,)) for name in names}
    doubles, singles = (
        len({name.split(".")[1] for name in names if name.startswith(f"{blocks}.")})
        for blocks in ("transformer_blocks", "single_transformer_blocks")
    )
    for rule in transformer_rules(doubles, singles, guidance=True):
        layer = Layer(
            tuple(target.rpartition(".")[0] for target in rule.targets),
            rule.transform == "halves_swapped",
        )
        layers |= {rule.source.rpartition(".")[0]: layer}
        if rule.source.endswith(".scale"):
            layers |= {rule.source: layer}
    for stem, targets in lora_targets(doubles, singles).items():
        layers |= {stem: Layer(tuple(target.removesuffix(".weight") for target in targets))}
    return {_flat(name): layer for name, layer in layers.items() if names.issuperset(layer.names)}


def without_prefix(stem: str) -> str:
    """Return a layer's name as its file has it, without the prefixes."""
    while prefix := next((p for p in _PREFIXES if stem.startswith(p)), None):
        stem = stem.removeprefix(prefix)
    return stem


def find_layer(stem: str, layers: Mapping[str, Layer]) -> Layer | None:
    """Return the layer that a key names; None if the transformer has no such layer."""
    return layers.get(_flat(without_prefix(stem)))


def layout_of(key: str) -> str:
    """Return the layout and the method of a key, for messages."""
    layout = next((name for pattern, name in _LAYOUTS if pattern.match(key)), None)
    method = next((name for pattern, name in _METHODS if pattern.search(key)), None)
    return ", ".join(filter(None, [layout or "unknown layout", method]))


def is_of_text_encoder(key: str) -> bool:
    """Return True if a key names a layer of a text encoder."""
    return _OF_TEXT_ENCODER.match(key) is not None


def _flat(name: str) -> str:
    return name.replace(".", "_")
