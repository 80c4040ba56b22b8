"""Habits of users of diffusers: a pipeline has `to`, and names of diffusers lead to ours."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NoReturn

import torch

if TYPE_CHECKING:
    from typing_extensions import Self

_OFFLOAD = 'choose it at loading: from_pretrained(…, preset="low_vram") or "tiny_vram"'
_ATTENTION = "choose it at loading: USOPipeline.load(…, attention=…)"
_LORA = "choose LoRAs at loading: USOPipeline.load(ModelSource(…, loras=…), …)"
_ONE_BY_ONE = "it is not needed: images are decoded one by one"
_INSTEAD = {
    "enable_model_cpu_offload": _OFFLOAD,
    "enable_sequential_cpu_offload": _OFFLOAD,
    "enable_group_offload": _OFFLOAD,
    "enable_attention_slicing": _ATTENTION,
    "enable_xformers_memory_efficient_attention": _ATTENTION,
    "enable_vae_slicing": _ONE_BY_ONE,
    "enable_vae_tiling": _ONE_BY_ONE,
    "load_lora_weights": _LORA,
    "set_adapters": _LORA,
    "fuse_lora": _LORA,
    "unload_lora_weights": _LORA,
    "transformer": "see `components.transformer`",
    "vae": "see `components.vae`",
    "scheduler": "the steps are those of flow matching, and cannot be changed",
}


class DiffusersHabits:
    """Methods and messages for users of diffusers."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """The device that generates."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """The dtype of the transformer."""

    def to(
        self, *places: str | torch.device | torch.dtype, **named: str | torch.device | torch.dtype
    ) -> Self:
        """Return the pipeline itself, if it is on this device and in this dtype already.

        Args:
            places: a device, a dtype, or both.
            named: the same, as `device` and `dtype`.

        Raises:
            ValueError: it is on another device, or in another dtype; a pipeline does not move.
        """
        for place in (*places, *named.values()):
            if not (self.dtype == place if isinstance(place, torch.dtype) else self._is_on(place)):
                raise ValueError(
                    f"to({place}): the pipeline is on {self.device}, in {self.dtype}, and does not "
                    "move; load it there: from_pretrained(…, device=…, torch_dtype=…)"
                )
        return self

    def _is_on(self, place: str | torch.device) -> bool:
        asked, own = torch.device(place), self.device
        return asked.type == own.type and (asked.index or 0) == (own.index or 0)

    if not TYPE_CHECKING:  # a type checker still finds unknown names

        def __getattr__(self, name: str) -> NoReturn:
            """Name the counterpart of an attribute of diffusers' pipelines."""
            instead = f": {_INSTEAD[name]}" if name in _INSTEAD else ""
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}{instead}",
                name=name,
                obj=self,
            )


def dtype_of(given: torch.dtype | str) -> torch.dtype:
    """Return a dtype that may be given by its name.

    Raises:
        TypeError: there is no such dtype.
    """
    found: Any = (
        getattr(torch, given.removeprefix("torch."), None) if isinstance(given, str) else given
    )
    if isinstance(found, torch.dtype):
        return found
    raise TypeError(f"torch_dtype: {given!r} is not accepted; give torch.bfloat16 or torch.float32")
