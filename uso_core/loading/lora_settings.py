"""Rank and alpha of a LoRA that are in its header, or in a file beside it, not among its tensors.

diffusers writes the settings of PEFT into the header (`lora_adapter_metadata`). PEFT itself writes
them into `adapter_config.json`, beside its `adapter_model.safetensors`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from uso_core.errors import CheckpointError
from uso_core.loading.lora_identity import HEADER_KEY, read_settings_beside
from uso_core.loading.tensor_files import TensorFiles

_TRANSFORMER = "transformer."
_COMPONENTS = (_TRANSFORMER, "text_encoder.", "text_encoder_2.")
# These begin with a part of the base weights taken out, so that they fit other weights only.
_CHANGES_BASE = ("pissa", "corda", "olora", "loftq", "lora_ga")
_REFUSED = (
    "fan_in_fan_out",
    "use_qalora",
    "layer_replication",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "arrow_config",
    "use_bdlora",
    "velora_config",
    "monteclora_config",
    "kasa_config",
)


@dataclass(frozen=True)
class LoraSettings:
    """Rank and alpha of each layer, as PEFT reads them.

    Attributes:
        rank: the default rank; None: each layer's is that of its tensors.
        alpha: the default alpha; None: it is the rank.
        rank_pattern: other ranks, by regular expressions for the ends of layers' names.
        alpha_pattern: other alphas, in the same way.
        root_of_rank: True to divide alpha by the square root of the rank (rsLoRA).
        decomposed: True if every layer is a DoRA.
    """

    rank: float | None = None
    alpha: float | None = None
    rank_pattern: Mapping[str, float] = field(default_factory=dict)
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    root_of_rank: bool = False
    decomposed: bool = False

    def scale(self, layer: str, rank: int) -> float | None:
        """Return the factor for a layer's product of matrices; None if the settings give none."""
        alpha = _matching(self.alpha_pattern, layer, self.alpha)
        if alpha is None:
            return None
        return alpha / (math.sqrt(rank) if self.root_of_rank else rank)

    def rank_of(self, layer: str) -> float | None:
        """Return a layer's rank; None if the settings give none."""
        return _matching(self.rank_pattern, layer, self.rank)


def read_settings(files: TensorFiles) -> LoraSettings:
    """Read the settings of a LoRA from its header, or from PEFT's file beside it.

    Raises:
        CheckpointError: they cannot be read, or ask for something other than a low-rank sum.
    """
    if HEADER_KEY in files.header:
        return _parsed(files.name, HEADER_KEY, files.header[HEADER_KEY])
    text = read_settings_beside(files.name)
    return LoraSettings() if text is None else _parsed(files.name, "adapter_config.json", text)


def _parsed(file: str, where: str, text: str) -> LoraSettings:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise CheckpointError(file, f"{where} cannot be read as JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(file, f"{where} is not a JSON object")
    values = _of_transformer(values)
    if reason := _refusal(values):
        raise CheckpointError(file, f"{where}: {reason}")
    try:
        return LoraSettings(
            rank=_number(values.get("r")),
            alpha=_number(values.get("lora_alpha")),
            rank_pattern=_numbers(values.get("rank_pattern")),
            alpha_pattern=_numbers(values.get("alpha_pattern")),
            root_of_rank=bool(values.get("use_rslora")),
            decomposed=bool(values.get("use_dora")),
        )
    except (TypeError, ValueError, re.error) as error:
        raise CheckpointError(file, f"{where}: {error}") from error


def _of_transformer(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the transformer's settings; a file with several components prefixes their names."""
    if not any(name.startswith(_COMPONENTS) for name in values):
        return dict(values)
    named = {n: v for n, v in values.items() if n.startswith(_TRANSFORMER)}
    return {name.removeprefix(_TRANSFORMER): value for name, value in named.items()}


def _refusal(values: Mapping[str, Any]) -> str | None:
    kind, begun = values.get("peft_type"), values.get("init_lora_weights")
    if kind not in {None, "LORA"}:
        return f"peft_type is {kind}; only LORA is read"
    if isinstance(begun, str) and begun.lower().startswith(_CHANGES_BASE):
        return (
            f"init_lora_weights is {begun}, so the LoRA fits a changed base model; let PEFT save it"
            " as a plain LoRA (path_initial_model_for_weight_conversion)"
        )
    unread = next((name for name in _REFUSED if values.get(name)), None)
    return f"{unread} is set, which is not read; use another file" if unread else None


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def _numbers(value: object) -> dict[str, float]:
    given = value or {}
    if not isinstance(given, dict):
        raise TypeError(f"{value!r} is not an object")
    numbers = {key: _number(number) for key, number in given.items()}
    for key in numbers:
        re.compile(key)
    return {key: number for key, number in numbers.items() if number is not None}


def _matching(pattern: Mapping[str, float], layer: str, default: float | None) -> float | None:
    """Return the value of the first expression that matches the end of a layer's name."""
    found = (value for key, value in pattern.items() if re.match(rf"(.*\.)?({key})$", layer))
    return next(found, default)
