"""Imports transformers with one pass over the files of its models instead of two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

Names: TypeAlias = Mapping[frozenset[str], Mapping[str, set[str]]]
"""Names of classes by module, by the packages that they need."""

_FOLDER, _FUNCTION = "models", "define_import_structure"


def import_transformers() -> None:
    """Import `transformers` and `transformers.models`.

    Each of them reads the files of all models, 1,669, for the names in them, in a quarter of
    a second of CPU. Here the second one gets the names that the first one has found. A version of
    transformers that has no function of that name is imported as it is. No other thread may import
    transformers meanwhile.
    """
    import transformers  # noqa: PLC0415 - it takes half a second
    from transformers.utils import import_utils  # noqa: PLC0415

    read = getattr(import_utils, _FUNCTION, None)
    if read is not None:
        folder = Path(transformers.__file__).parent / _FOLDER
        names, file = names_of_models(read, folder), str(folder / "__init__.py")
        setattr(import_utils, _FUNCTION, lambda path: names if path == file else read(path))
        try:
            import transformers.models  # noqa: PLC0415
        finally:
            setattr(import_utils, _FUNCTION, read)


def names_of_models(read: Callable[..., Names], folder: Path) -> Names:
    """Return the names in a folder as its own module asks for them.

    Args:
        read: the function of transformers that reads them. It remembers its answer to the import
            of `transformers`.
        folder: `models`.
    """
    prefix = f"{_FOLDER}."
    return {
        needed: {
            module.removeprefix(prefix): set(classes)
            for module, classes in modules.items()
            if module.startswith(prefix)
        }
        for needed, modules in read(folder, prefix=_FOLDER).items()
    }
