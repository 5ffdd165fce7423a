"""What installed packages add to the tables of routers, PRM kinds, figures and names: entry points."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from trim.errors import ConfigError

Group = Literal["trim.names", "trim.routers", "trim.query_level", "trim.prms", "trim.models", "trim.figures"]


@cache
def added(group: Group) -> Mapping[str, Any]:
    """Load what other packages registered in a group of entry points, by name.

    Raises
    ------
    ConfigError
        If two of them share a name, or one cannot be loaded.
    """
    found: dict[str, Any] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)):
        if entry.name in found:
            raise ConfigError(f"two installed packages register {entry.name!r} in {group}; uninstall one of them")
        try:
            found[entry.name] = entry.load()
        except Exception as error:
            raise ConfigError(f"{group}: {entry.name} ({entry.value}) cannot be loaded: {error}") from error
    return found
