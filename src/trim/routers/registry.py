"""The one table of routers that decide step by step: how each is fitted, and at which settings it is run.

A router lives in one room: a module with two functions,

- `fit(router, variant, data, seed)` returns what was fitted, which knows its operating points and writes itself to a
  folder (`Fitted`);
- `load(router, folder)` returns the operating points of what was written.

A router of another package stands in the entry point group `trim.routers`, as a `StepRouter` (or, with nothing to fit,
as a function like those of `routers/controls.py`), and is run where the config names it under `routers.others`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trim.config.routers import Routers
from trim.errors import ConfigError
from trim.names import RANDOM_QUERY, routers_of
from trim.plugins import added

if TYPE_CHECKING:
    import pandas as pd

    from trim.rollout.tables import OperatingPoint
    from trim.rollout.trees import RolloutTrees

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a router is fitted to: the explored trees of one dataset, and what goes with them.

    Attributes
    ----------
    trees, dev
        Of the training split, and of the split on which all choices are made.
    settings
        Of all routers.
    labelled
        Whether steps have exact labels.
    solutions
        Scored solutions of others whose steps have labels, where our own have none.
    donor
        Folder of what a variant takes over from the main dataset (`StepRouter.donors`).
    logs
        Folder for the logs of training.
    progress
        Returns what reports the progress of one training, given its name.
    """

    trees: RolloutTrees
    dev: RolloutTrees
    settings: Routers
    labelled: bool
    solutions: pd.DataFrame | None = None
    donor: Path | None = None
    logs: Path | None = None
    progress: Callable[[str], Progress | None] = lambda what: None


class Fitted(Protocol):
    """A fitted variant of a router."""

    def points(self) -> Sequence[OperatingPoint]:
        """Return its operating points, as they were chosen on dev."""
        ...

    def save(self, folder: Path, origin: Mapping[str, Any]) -> None:
        """Write all that `load` needs, and where it comes from."""
        ...


@dataclass(frozen=True, slots=True)
class StepRouter:
    """A fitted router, as the workflow knows it.

    Attributes
    ----------
    id
        Identifier, as in `trim.names`.
    room
        Name of the module that fits and loads it.
    section
        Its block under `routers` in the config; empty where it has none.
    variants
        Returns the variants that a config asks for.
    seeded
        Whether it is fitted once for each of `routers.seeds`.
    ablations_away
        Whether variants after the first are fitted on other datasets than the main one too.
    donors
        By variant, the variant fitted on the main dataset from which it takes something over.
    needs_labels
        Whether it needs labels of steps.
    refitted
        Variants that are fitted again with other PRMs.
    fitted_as
        The router and variant whose fit it shares, in place of a fit of its own.
    version
        Raised when a change in the library changes what is fitted, so that the workflow fits it again.
    """

    id: str
    room: str
    section: str = ""
    variants: Callable[[Routers], Sequence[str]] = lambda settings: ("default",)
    seeded: bool = False
    ablations_away: bool = True
    donors: Mapping[str, str] = field(default_factory=dict)
    needs_labels: bool = False
    refitted: tuple[str, ...] = ()
    fitted_as: tuple[str, str] | None = None
    version: int = 1

    def fit(self, variant: str, data: TrainingData, seed: int) -> Fitted:
        """Fit one variant."""
        fitted: Fitted = import_module(self.room).fit(self.id, variant, data, seed)
        return fitted

    def load(self, folder: Path) -> Sequence[OperatingPoint]:
        """Return the operating points of what was fitted, from its folder, called variant.seed."""
        points: Sequence[OperatingPoint] = import_module(self.room).load(self.id, folder)
        return points

    def runs(self, settings: Routers, trained_on: str, main_dataset: str) -> list[tuple[str, int]]:
        """Return the (variant, training run) that are fitted on a dataset."""
        if self.fitted_as:
            return [(self.fitted_as[1], 0)]
        asked = tuple(self.variants(settings))
        at_home = trained_on == main_dataset
        if not (at_home or self.ablations_away):
            asked = asked[:1]
        there = main_dataset in settings.trained_on
        taken = [v for v in asked if v not in self.donors or (there and not at_home and self.donors[v] in asked)]
        return [(variant, run) for variant in taken for run in range(settings.seeds if self.seeded else 1)]

    def decisive(self, settings: Mapping[str, Any], variant: str) -> dict[str, Any]:
        """Return the settings that decide the fit of a variant: not which others there are, nor what they need."""
        shared = {key: settings[key] for key in ("operating_points", "kappa")}
        if self.id in settings.get("others", {}):
            return shared | {"others": {self.id: settings["others"][self.id]}}
        ignored = {"variants"} | ({"kappas"} if variant == "conditioned" else set())
        own = settings[self.section].items() if self.section else ()
        return shared | {self.section: {key: value for key, value in own if key not in ignored}} if own else shared


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
    ),
    StepRouter(
        "trim-seq",
        "trim.routers.learned.fit",
        section="seq",
        variants=lambda settings: settings.seq.variants,
        seeded=True,
        ablations_away=False,
        refitted=("conditioned",),
    ),
    StepRouter(
        "trim-pomdp",
        "trim.routers.pomdp.fit",
        section="pomdp",
        variants=lambda settings: settings.pomdp.variants,
        donors={"transferred": "default"},
        needs_labels=True,
        refitted=("default",),
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
    installed = added("trim.routers")
    for name in settings.others:
        if name not in installed:
            there = ", ".join(sorted(installed)) or "none"
            raise ConfigError(
                f"routers.others.{name}: no installed package registers a router of that name in the entry point group "
                f"trim.routers (there: {there}); install it, or remove the key"
            )
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


def refit(data: TrainingData, seed: int) -> list[OperatingPoint]:
    """Fit every router again, as with another PRM, in the variants that are compared then; return all points."""
    return [
        point
        for router in fitted_routers(data.settings).values()
        for variant in router.refitted
        for point in router.fit(variant, data, seed).points()
    ]
