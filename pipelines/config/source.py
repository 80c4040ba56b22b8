"""The place of a configuration, with which its run can be repeated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath

from pipelines.storage.urls import is_uri, redact_uri
from uso_core.local_path import local_path


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """The place of a configuration.

    Attributes:
        path: absolute path of its YAML file, or its URL without credentials.
        folder: the folder in which the command ran; relative paths in the file start there.
        overrides: the keys that `--set` replaced.
    """

    path: str
    folder: str
    overrides: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: str | PathLike[str], overrides: Sequence[str] = ()) -> ConfigSource:
        """Return the place of a file that a command of this process reads.

        Args:
            given: its path or URL.
            overrides: values that replace those of the file, each as `a.b=c`.
        """
        place = fspath(given)
        path = redact_uri(place) if is_uri(place) else os.path.abspath(local_path(place))
        keys = dict.fromkeys(override.partition("=")[0].strip() for override in overrides)
        return cls(path, os.getcwd(), tuple(keys))
