"""Finds code that a configuration names: ours, that of an installed package, or `module:NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from pipelines.display import did_you_mean
from pipelines.errors import ConfigError


@dataclass(frozen=True, slots=True)
class OwnCode:
    """Code of this package.

    Attributes:
        location: `module:NAME`.
        needs: the module that it imports from elsewhere; empty: every installation has all of it.
        extra: the extra of this package that installs that module.
    """

    location: str
    needs: str = ""
    extra: str = ""


@dataclass(frozen=True, slots=True)
class NamedCode:
    """The code that one key of the configuration may name.

    Attributes:
        key: the key, for messages.
        own: code of this package by name.
        group: group of the entry points with which other packages offer theirs.
    """

    key: str
    own: Mapping[str, OwnCode]
    group: str

    def check(self, name: str) -> None:
        """Check that the code can be found here, without importing it.

        Raises:
            ConfigError: it cannot; the message has the accepted names, or the command that installs
                the missing package.
        """
        module, _ = self._location(name)
        own = self.own.get(name)
        if own is not None and own.needs and not _exists(own.needs):
            raise ConfigError(
                f"{self.key}: {name} needs the extra {own.extra}: pip install "
                f"'uso-batch[{own.extra}]', on every machine that runs actors"
            )
        if not _exists(module):
            raise ConfigError(f"{self.key}: {name!r}: there is no module {module!r} here")

    def find(self, name: str) -> Any:  # noqa: ANN401 (the caller knows the type)
        """Import the code.

        Raises:
            ConfigError: see `check`; or its module has no such name.
        """
        self.check(name)
        module, attribute = self._location(name)
        found = getattr(import_module(module), attribute, None)
        if found is None:
            raise ConfigError(f"{self.key}: {name!r}: the module {module!r} has no {attribute!r}")
        return found

    def _location(self, name: str) -> tuple[str, str]:
        """Return the module and the name in it."""
        if name in self.own:
            name = self.own[name].location
        else:
            offered = {entry.name: entry.value for entry in entry_points(group=self.group)}
            if name in offered:
                name = offered[name]
            elif ":" not in name and "." not in name:
                known = [*self.own, *sorted(offered)]
                raise ConfigError(
                    f"{self.key}: {name!r} is unknown; give {', '.join(known)} or module:NAME"
                    f"{did_you_mean(name, known)}"
                )
        module, _, attribute = name.rpartition(":" if ":" in name else ".")
        return module, attribute


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # a parent is missing, or the name is not one of a module
        return False
