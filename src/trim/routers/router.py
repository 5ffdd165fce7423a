"""What a fitted router is to the workflow: what it is fitted to, what that leaves, and how it is found again.

A router lives in one room: a module with two functions,

- `fit(router, variant, data, seed)` returns what was fitted, which knows its operating points and writes itself to a
  folder (`Fitted`);
- `load(router, folder)` returns the operating points of what was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trim.config.routers import Routers
from trim.config.section import Section
from trim.names import look_of
from trim.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from trim.rollout.tables import OperatingPoint
    from trim.rollout.trees import RolloutTrees


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
    settings
        What may stand under `routers.others` in the config, for a router of another package.
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
    settings: type[Section] = Section
    variants: Callable[[Routers], Sequence[str]] = lambda settings: ("default",)
    seeded: bool = False
    ablations_away: bool = True
    donors: Mapping[str, str] = field(default_factory=dict)
    needs_labels: bool = False
    refitted: tuple[str, ...] = ()
    fitted_as: tuple[str, str] | None = None
    version: int = 1

    def fit(self, variant: str, data: TrainingData, seed: int) -> Fitted:
        """Fit one variant.

        Raises
        ------
        InputError
            If nobody named it.
        """
        look_of(self.id, variant)
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
        on_main = trained_on == main_dataset
        if not (on_main or self.ablations_away):
            asked = asked[:1]
        there = main_dataset in settings.trained_on
        taken = [v for v in asked if v not in self.donors or (there and not on_main and self.donors[v] in asked)]
        return [(variant, run) for variant in taken for run in range(settings.seeds if self.seeded else 1)]

    def decisive(self, settings: Mapping[str, Any], variant: str) -> dict[str, Any]:
        """Return the settings that decide the fit of a variant: not which others there are, nor what they need.

        `conditioned` is one policy for all kappas: where policies of one kappa each are trained decides nothing there.
        """
        shared = {key: settings[key] for key in ("operating_points", "kappa")}
        if self.id in settings.get("others", {}):
            return shared | {"others": {self.id: settings["others"][self.id]}}
        ignored = {"variants"} | ({"kappas"} if variant == "conditioned" else set())
        own = settings[self.section].items() if self.section else ()
        return shared | {self.section: {key: value for key, value in own if key not in ignored}} if own else shared
