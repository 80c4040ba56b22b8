"""A fake GPU: tensors that claim to be on `cuda:0` but are computed on the CPU.

It refuses what CUDA refuses, operations on tensors of both devices. It counts operations that make
the host wait for the device: reads of values, copies, shapes that depend on values. It does not
simulate a GPU's kernels, rounding, memory, speed, or order of work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda", 0)
"""Has an index: for a plain `cuda`, torch asks CUDA for the current device."""

_ATEN = torch.ops.aten
_COPIES = (_ATEN._to_copy.default, _ATEN.copy_.default)
_WAITING = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
_SDPA_BY_ARITHMETIC = 0  # torch.nn.attention.SDPBackend.MATH


class OnGpu(torch.Tensor):
    """A tensor on the fake GPU.

    Attributes:
        numbers: the same tensor on the CPU.
        gpu: the fake GPU that computes with it.
    """

    numbers: torch.Tensor
    gpu: FakeGpu

    @staticmethod
    def __new__(cls: type[OnGpu], numbers: torch.Tensor, gpu: FakeGpu) -> OnGpu:
        tensor: OnGpu = torch.Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=GPU,
        )
        tensor.numbers, tensor.gpu = numbers, gpu
        return tensor

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # declared as a static one
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, OnGpu)]
        return tensors[0].gpu.__torch_dispatch__(func, types, args, kwargs)

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnGpu({self.numbers!r})"

    # torch asks CUDA about these before it dispatches an operation:

    def __getitem__(self, index: Any) -> OnGpu:
        for part in tree_leaves(index):
            assert not isinstance(part, torch.Tensor) or _is_index(part)
        return OnGpu(self.numbers[tree_map(_numbers, index)], self.gpu)

    def contiguous(
        self, memory_format: torch.memory_format = torch.contiguous_format
    ) -> torch.Tensor:
        tensor: torch.Tensor = _ATEN.contiguous.default(self, memory_format=memory_format)
        return tensor

    def copy_(self, other: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
        tensor: torch.Tensor = _ATEN.copy_.default(self, other, non_blocking)
        return tensor


_PLAIN = (torch.Tensor, torch.nn.Parameter, OnGpu)


class FakeGpu(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch is typed in part
    """Computes while `fake_gpu` is active.

    Attributes:
        waits: number of times that each operation made the host wait.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        on_gpu = [tensor for tensor in tensors if isinstance(tensor, OnGpu)]
        asked = kwargs.get("device")
        if not on_gpu and (asked is None or asked.type != "cuda"):
            return func(*args, **kwargs)
        if any(type(tensor) not in _PLAIN for tensor in tensors):
            return func(*args, **kwargs)  # an operation on a list of tensors, one by one
        if func is _ATEN._fused_sdp_choice.default:
            return _SDPA_BY_ARITHMETIC
        is_copy = func in _COPIES
        if not is_copy and any(t.dim() > 0 and not isinstance(t, OnGpu) for t in tensors):
            raise RuntimeError(f"{func}: expected all tensors on one device, found cuda and cpu")
        target = asked or (args[0].device if is_copy else GPU)
        crosses = is_copy and any(tensor.device.type != target.type for tensor in tensors)
        if (crosses and not kwargs.get("non_blocking")) or _WAITING.intersection(func.tags):
            self.waits[str(func)] += 1
        if target.type == "cuda" and asked is not None:
            kwargs = {**kwargs, "device": torch.device("cpu")}
        result = func(*tree_map(_numbers, args), **tree_map(_numbers, kwargs))
        if target.type != "cuda":
            return result
        changed = {id(tensor.numbers): tensor for tensor in on_gpu}  # in place
        return tree_map(
            lambda value: changed[id(value)] if id(value) in changed else self._brought(value),
            result,
        )

    def _brought(self, value: Any) -> Any:
        return OnGpu(value, self) if isinstance(value, torch.Tensor) else value


class _Stream:
    """A stream on which all work finishes at once."""

    def synchronize(self) -> None:
        """Return at once: no work is ever pending."""


@contextmanager
def fake_gpu() -> Iterator[FakeGpu]:
    """Make `cuda:0` a fake GPU of compute capability 9.0 inside the block."""
    # A CUDA build would ask the driver, even on a machine without a GPU.
    torch._C._ensureCUDADeviceGuardSet()
    generator, stream, gpu = torch.Generator, _Stream(), FakeGpu()
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch, gpu:  # autograd asks CUDA
        patch.setattr(torch, "Generator", lambda device: generator("cpu"))
        patch.setattr(torch.Tensor, "data", property(torch.Tensor.detach, _set_data))
        patch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
        patch.setattr(torch.cuda, "_lazy_init", lambda: None)
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        patch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
        patch.setattr(torch.cuda, "Stream", _Stream)
        patch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
        patch.setattr(torch.cuda, "current_stream", lambda: stream)
        yield gpu


def _numbers(value: Any) -> Any:
    return value.numbers if isinstance(value, OnGpu) else value


def _is_index(tensor: torch.Tensor) -> bool:
    """Return True if an index does not make the host wait."""
    return isinstance(tensor, OnGpu) and tensor.dtype == torch.long


def _set_data(tensor: torch.Tensor, data: torch.Tensor) -> None:
    """Set `data`, also across devices, which real tensors support natively."""
    fresh = data.detach()
    if isinstance(tensor, torch.nn.Parameter):
        fresh = torch.nn.Parameter(fresh, requires_grad=tensor.requires_grad)
    torch.utils.swap_tensors(tensor, fresh)  # type: ignore[no-untyped-call]
