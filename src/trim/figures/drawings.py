"""The figures of one experiment: each kind once, or once a dataset."""

from __future__ import annotations

from collections.abc import Sequence

from trim.config.experiment import Experiment
from trim.errors import ConfigError, InputError
from trim.figures.registry import figures
from trim.figures.spec import Drawing, Scope


def drawings(experiment: Experiment) -> dict[str, Drawing]:
    """Return all figures of an experiment, by the name of their files.

    Raises
    ------
    ConfigError
        If two of them share a name.
    """
    datasets: dict[Scope, Sequence[str]] = {
        "evaluated": experiment.evaluated_on,
        "trained": experiment.routers.trained_on,
        "once": ("",),
    }
    wanted = [spec for spec in figures().values() if spec.wanted(experiment)]
    found = [Drawing(spec, dataset) for spec in wanted for dataset in datasets[spec.scope]]
    named: dict[str, Drawing] = {}
    for drawing in found:
        if other := named.get(drawing.name):
            both = f"{other.figure.name!r} and {drawing.figure.name!r}"
            raise ConfigError(f"the figures {both} would both be {drawing.name}: rename one of them")
        named[drawing.name] = drawing
    return named


def drawing(experiment: Experiment, name: str) -> Drawing:
    """Return one figure of an experiment.

    Raises
    ------
    InputError
        If it has none of that name.
    """
    there = drawings(experiment)
    if name not in there:
        raise InputError(f"there is no figure {name!r}; there are {', '.join(there)}")
    return there[name]
