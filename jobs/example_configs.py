"""Finds the example configurations of `configs/`, which a wheel carries as `jobs/configs/`."""

from __future__ import annotations

from pathlib import Path

_IN_WHEEL = Path(__file__).parent / "configs"
_IN_CHECKOUT = Path(__file__).parents[1] / "configs"


def config_names() -> list[str]:
    """Return the names of the example configurations, sorted."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def config_path(name: str) -> Path:
    """Return the path of an example configuration, to read or to copy.

    Args:
        name: its file name without `.yaml`.

    Raises:
        FileNotFoundError: there is no such configuration; the message lists the existing ones.
    """
    if name not in config_names():
        raise FileNotFoundError(
            f"no example configuration {name!r} in {_folder()}; there are: "
            f"{', '.join(config_names()) or 'none'}"
        )
    return _folder() / f"{name}.yaml"


def _folder() -> Path:
    # An editable install and a checkout have the files beside the package, not in it.
    return _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
