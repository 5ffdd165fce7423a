"""From what a config file holds to a checked experiment: each fault is one sentence that names its key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from trim.config.checks import complaints
from trim.config.experiment import Experiment
from trim.config.overlay import settled
from trim.config.section import Section
from trim.errors import ConfigError, abridged

_PPO = {
    "lanes": "n_envs",
    "steps_per_lane": "n_steps",
    "transitions": "total_timesteps",
    "check_every": "evaluate_every",
}
RENAMED = {"pair.home": "main_dataset"} | {
    f"routers.{router}.ppo.{old}": f"routers.{router}.ppo.{new}"
    for router in ("agg", "seq")
    for old, new in _PPO.items()
}
"""Keys of earlier versions."""

TAGGED = ("datasets", "pair", "prms")
"""Blocks whose entries say by their `kind` or `source` which section they are."""

Kind = TypeVar("Kind", bound=Section)


def parse_config(content: Mapping[str, Any]) -> Experiment:
    """Check a config and return it.

    Raises
    ------
    ConfigError
        One sentence that names each wrong key and says what is wrong with it.
    """
    if not isinstance(content, Mapping):
        raise ConfigError(f"config: expected keys with values, found a {type(content).__name__}")
    for old, new in RENAMED.items():
        if _has(content, old.split(".")):
            raise ConfigError(f"config: key {old!r} is now called {new!r}; rename it")
    experiment = read_section(Experiment, settled(content, Experiment().model_dump(mode="json")))
    for complaint in complaints(experiment):
        raise ConfigError(f"config: {abridged(complaint)}")
    return experiment


def read_section(kind: type[Kind], content: Mapping[str, Any], place: str = "") -> Kind:
    """Check a block of the config and return it.

    Parameters
    ----------
    place
        Key under which the block stands; empty for the whole config.

    Raises
    ------
    ConfigError
        One sentence that names each wrong key and says what is wrong with it.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise ConfigError("config: " + "; ".join(_describe(e, place) for e in error.errors())) from None


def _has(content: Any, path: list[str]) -> bool:
    return isinstance(content, Mapping) and path[0] in content and (len(path) == 1 or _has(content[path[0]], path[1:]))


def _describe(error: Any, place: str) -> str:
    # Pydantic puts kind or source third: prms.classifier.likelihood.tuning_steps.
    parts = [str(part) for i, part in enumerate(error["loc"]) if place or i != 2 or error["loc"][0] not in TAGGED]
    key = abridged(".".join([place, *parts] if place else parts))
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}; remove it, or see docs/configuration.md for the keys there are"
    if error["type"] == "missing":
        return f"key {key!r} is missing"
    if error["type"] == "union_tag_not_found":
        return f"key {key + '.' + error['ctx']['discriminator'].strip(chr(39))!r} is missing"
    message = abridged(error["msg"].removeprefix("Value error, ")) + HINTS.get(
        (error["type"], type(error["input"])), ""
    )
    return f"{key}: {message}" if key else message


HINTS = {
    ("int_type", str): " (text is no number: leave the quotes out, and write 2e7 as 20000000)",
    ("float_type", str): " (text is no number: leave the quotes out)",
    ("int_type", float): " (write it without a point or an exponent)",
    ("string_type", int): " (put it in quotes: YAML takes it for a number)",
    ("string_type", float): " (put it in quotes: YAML takes it for a number)",
    ("string_type", bool): " (put it in quotes: YAML takes no, off and yes for truth values)",
}
"""How to fix a value of the wrong type, by pydantic's error and the type that was read."""
