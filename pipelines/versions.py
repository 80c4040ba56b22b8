"""Versions of the libraries that decide about the bytes of an image, as one text.

The text is `name version` pairs, joined by commas: a column that every reader of Parquet shows.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version

PACKAGES: Sequence[str] = (
    "uso-batch",
    "torch",
    "diffusers",
    "transformers",
    "tokenizers",
    "numpy",
    "pillow",
)
_OPTIONAL = ("torchao", "kernels", "pillow-heif")


def package_versions(names: Sequence[str]) -> dict[str, str]:
    """Return the version of each package; `unknown` for one that is not installed."""
    return {name: _version(name) or "unknown" for name in names}


def library_versions() -> str:
    """Return the versions in this process, for `Outcome.versions`; imports torch."""
    return ", ".join(f"{name} {found}" for name, found in _found())


def versions_of(text: str) -> dict[str, str]:
    """Return the versions in such a text, by name."""
    pairs = (each.rpartition(" ") for each in text.split(", ") if each)
    return {name: found for name, _, found in pairs}


def _found() -> Iterator[tuple[str, str]]:
    import torch  # noqa: PLC0415 (the driver must not load it)

    yield "python", platform.python_version()
    yield from package_versions(PACKAGES).items()
    for name in _OPTIONAL:
        if (found := _version(name)) is not None:
            yield name, found
    if torch.version.cuda is not None and torch.cuda.is_available():
        yield "cuda", torch.version.cuda
        yield "cudnn", str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    # Kernels for AVX2 and AVX-512 sum in another order.
    yield "cpu", torch.backends.cpu.get_cpu_capability().replace(" ", "-")


def _version(package: str) -> str | None:
    try:
        return str(version(package))
    except PackageNotFoundError:  # e.g. run from a checkout that is not installed
        return None
