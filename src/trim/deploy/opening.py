"""Open a deployed router: its models, and what decides under each model name."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from trim.config.models import GivenPRM
from trim.deploy.manifest import Deployed, FolderPRM, Point
from trim.errors import ConfigError, InputError
from trim.jobs import use_threads
from trim.models.opening import open_pair, with_cut_steps
from trim.models.protocols import ModelPair
from trim.models.store import StepStore
from trim.names import END_POINTS
from trim.rollout.history import Reads
from trim.rollout.tables import OperatingPoint
from trim.routers.registry import control_points, controls, fitted_routers, step_router
from trim.routers.threshold import POLICIES

PATIENCE = 50
"""Passes of models in process after which a request goes first."""
Fitted = dict[tuple[str, Path], Sequence[OperatingPoint]]
"""Operating points by router and folder."""
_THRESHOLD = re.compile(r"trim-thr-(\d{1,9}(?:\.\d{1,30})?)")


@dataclass(frozen=True, slots=True)
class Opened:
    """A deployed router whose models can be asked.

    Attributes
    ----------
    loaded, fitted
        Points of the manifest that were asked for, and all points of their policies: what was fitted is read once.
    """

    deployed: Deployed
    pair: ModelPair
    loaded: dict[str, OperatingPoint] = field(default_factory=dict)
    fitted: Fitted = field(default_factory=dict)

    def load(self) -> None:
        """Read what was fitted for all points of the manifest, before anybody waits for it."""
        for name in self.deployed.manifest.points:
            self.at(name)

    def at(self, name: str) -> OperatingPoint:
        """Return what decides under a model name."""
        found = self.loaded.get(name) or operating_point(self.deployed, name, self.fitted)
        if name in self.deployed.manifest.points:
            self.loaded[name] = found
        return found


def operating_point(deployed: Deployed, name: str, fitted: Fitted | None = None) -> OperatingPoint:
    """Return what decides under a model name: a point of the manifest, any threshold, or one model alone.

    Parameters
    ----------
    fitted
        What was read before; what is read now is added.

    Raises
    ------
    InputError
        If nothing is called so; lists what there is.
    """
    point = find_point(deployed, name)
    settings = deployed.manifest.routers
    folder, fitted = deployed.policy(point), {} if fitted is None else fitted
    if folder is not None:
        if (point.router, folder) not in fitted:
            fitted[point.router, folder] = step_router(point.router, settings).load(folder)
        known = fitted[point.router, folder]
    elif point.router == "trim-thr" and point.variant in POLICIES:
        known = [OperatingPoint("trim-thr", point.variant, point.setting, POLICIES[point.variant](point.setting))]
    elif point.router in controls(settings):
        known = control_points(point.router, settings)
    elif point.router in fitted_routers(settings):
        raise ConfigError(f"points.{name}: router {point.router!r} is a fitted one: `policy` must name its folder")
    else:
        names = ", ".join((*fitted_routers(settings), *controls(settings)))
        raise ConfigError(f"points.{name}: there is no router {point.router!r}; there are {names}")
    for found in known:
        if deployed.manifest.prm is None and found.policy.reads is not Reads.NOTHING:
            raise ConfigError(f"points.{name}: {point.router} reads the scores of a PRM: name one under key 'prm'")
        if math.isclose(found.setting, point.setting, rel_tol=1e-9, abs_tol=1e-12):
            return found
    there = ", ".join(f"{found.setting:g}" for found in known)
    raise InputError(f"points.{name}: {point.router} has no operating point {point.setting:g}; there are {there}")


def find_point(deployed: Deployed, name: str) -> Point:
    """Return the point that a model name stands for."""
    points = deployed.manifest.points
    if name in points:
        return points[name]
    if name in END_POINTS:
        return Point(router=name, setting=float(name == END_POINTS[1]))
    if (match := _THRESHOLD.fullmatch(name)) and deployed.manifest.prm is not None:
        return Point(router="trim-thr", setting=float(match[1]))
    raise InputError(f"there is no model {name!r}; there are {', '.join(model_names(deployed))}")


def model_names(deployed: Deployed) -> list[str]:
    """Return the names that a deployed router answers to, the default first; thresholds may be any number."""
    names = [*deployed.manifest.points, *END_POINTS]
    return [*names, "trim-thr-<threshold>"] if deployed.manifest.prm is not None else names


@contextmanager
def open_deployed(deployed: Deployed, store: StepStore, logs: Path, threads: int = 1) -> Iterator[Opened]:
    """Open the models of a deployed router; nothing is loaded, started or asked before a step is needed.

    Parameters
    ----------
    store
        The step store that the models stand behind; one with `keeps=False` keeps nothing.
    logs
        Folder for the logs of servers that are started.
    threads
        That torch computes with.

    Raises
    ------
    InputError
        If a model or policy is another one than the manifest says.
    """
    from trim.models.served.servers import Servers

    deployed.check()
    use_threads(threads)
    manifest, models = deployed.manifest, deployed.models
    prm = models.get("prm")
    with closing(Servers(manifest.serving, logs)) as servers:
        try:
            pair = open_pair(
                models["weak"],
                models["strong"],
                {"prm": Path(prm.name)} if isinstance(prm, FolderPRM) else {},
                manifest.sampling,
                store,
                manifest.batch_size,
                manifest.device,
                prm if isinstance(prm, GivenPRM) else None,
                servers,
                manifest.cache_mb << 20,
                PATIENCE,
            )
            yield Opened(deployed, with_cut_steps(pair) if manifest.long_steps == "cut" else pair)
        finally:
            store.flush()
            if store.lost:
                print(store.lost, file=sys.stderr, flush=True)
