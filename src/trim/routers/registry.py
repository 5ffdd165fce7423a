"""The one table of routers that decide step by step: how each is fitted, and at which settings it is run.

A router of another package stands in the entry point group `trim.routers`, as a `StepRouter` (or, with nothing to fit,
as a function like those of `routers/controls.py`), and is run where the config names it under `routers.others`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trim.config.parsing import read_section
from trim.config.routers import Routers
from trim.errors import ConfigError
from trim.names import RANDOM_QUERY, routers_of
from trim.plugins import added
from trim.routers.router import StepRouter, TrainingData

if TYPE_CHECKING:
    from trim.rollout.tables import OperatingPoint

_BUILT_IN = (
    StepRouter(
        "trim-thr", "trim.routers.threshold", variants=lambda settings: settings.variants, refitted=("default", "hull")
    ),
    StepRouter("one-step-takeover", "trim.routers.threshold", fitted_as=("trim-thr", "default")),
    StepRouter(
        "trim-agg",
        "trim.routers.learned.fit",
        section="agg",
        variants=lambda settings: settings.agg.variants,
        seeded=True,
        ablations_away=False,
        refitted=("conditioned",),
        version=2,
    ),
    StepRouter(
        "trim-seq",
        "trim.routers.learned.fit",
        section="seq",
        variants=lambda settings: settings.seq.variants,
        seeded=True,
        ablations_away=False,
        refitted=("conditioned",),
        version=2,
    ),
    StepRouter(
        "trim-pomdp",
        "trim.routers.pomdp.fit",
        section="pomdp",
        variants=lambda settings: settings.pomdp.variants,
        donors={"transferred": "default"},
        needs_labels=True,
        refitted=("default",),
        version=4,
    ),
    StepRouter(
        "fitted-q",
        "trim.routers.fitted_q.fit",
        section="fitted_q",
        variants=lambda settings: settings.fitted_q.variants,
    ),
)


def fitted_routers(settings: Routers) -> dict[str, StepRouter]:
    """Return the fitted routers of an experiment: the built-in ones, and those of other packages that it names."""
    return {router.id: router for router in _BUILT_IN} | {
        name: router for name, router in _others(settings).items() if isinstance(router, StepRouter)
    }


def controls(settings: Routers) -> tuple[str, ...]:
    """Return the routers of an experiment that have nothing to fit, those of other packages last."""
    apart = {*fitted_routers(settings), *added("trim.routers"), RANDOM_QUERY}  # those of other packages only if named
    plain = [name for name in routers_of("end", "control") if name not in apart]
    return (*plain, *(name for name, router in _others(settings).items() if not isinstance(router, StepRouter)))


def control_points(name: str, settings: Routers) -> Sequence[OperatingPoint]:
    """Return the operating points of a router that has nothing to fit.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    from trim.routers.controls import CONTROLS

    known = {**CONTROLS, **_others(settings)}
    if name not in known:
        raise ConfigError(f"there is no router {name!r} without a fit; there are {', '.join(known)}")
    points: Sequence[OperatingPoint] = known[name](settings)
    return points


def _others(settings: Routers) -> Mapping[str, Any]:
    """Return the routers of other packages that an experiment names, their settings checked."""
    installed = added("trim.routers")
    for name, content in settings.others.items():
        if name not in installed:
            there = ", ".join(sorted(installed)) or "none"
            raise ConfigError(
                f"config: routers.others.{name}: no installed package registers a router of that name in the entry "
                f"point group trim.routers (there: {there}); install it, or remove the key"
            )
        if isinstance(router := installed[name], StepRouter):
            read_section(router.settings, content, f"routers.others.{name}")
    return {name: installed[name] for name in settings.others}


def step_router(name: str, settings: Routers) -> StepRouter:
    """Return a fitted router by its name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    known = fitted_routers(settings)
    if name not in known:
        raise ConfigError(f"there is no fitted router {name!r}; there are {', '.join(known)}")
    return known[name]


def refit(data: TrainingData, seed: int, only: Collection[str] = ()) -> list[OperatingPoint]:
    """Fit every router (or some) again, as with another PRM, in the variants compared then; return all points."""
    return [
        point
        for name, router in fitted_routers(data.settings).items()
        if not only or name in only
        for variant in router.refitted
        for point in router.fit(variant, data, seed).points()
    ]
