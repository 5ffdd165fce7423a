"""A finished experiment as a deployed router: its models, and every operating point of its fitted routers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trim.config.experiment import Experiment
from trim.config.models import GivenPRM, NoisyPRM, PretrainedModel, TrainedModel
from trim.deploy.manifest import Deployed, FolderPRM, Manifest, Point, paths_of, relative
from trim.errors import ConfigError, InputError
from trim.rollout.tables import OperatingPoint
from trim.routers.registry import fitted_routers

FIRST = "trim-thr-0.7"
"""What a router is called, and does, before anybody chose an operating point; RSD's threshold."""


def deployed_from(experiment: Experiment, root: Path, folder: Path) -> Deployed:
    """Return the models of an experiment as a deployed router of the paper's threshold, nothing calibrated.

    Parameters
    ----------
    root
        The checkout in which it ran.
    folder
        Where paths in the manifest start.

    Raises
    ------
    InputError
        If a model has not been trained yet.
    ConfigError
        If its PRM is made worse on purpose.
    """
    pair, trained = experiment.pair, root / experiment.results / "models"
    manifest = Manifest(
        weak=_found(pair.weak, trained / "weak", root, folder),
        strong=_found(pair.strong, trained / "strong", root, folder),
        prm=_prm(experiment, root, folder),
        device=pair.device,
        batch_size=pair.batch_size,
        cache_mb=pair.cache_mb,
        sampling=experiment.sampling,
        max_steps=experiment.max_steps,
        long_steps=experiment.long_steps,
        serving=experiment.serving,
        routers=experiment.routers,
        prices=experiment.prices,
        points={FIRST: Point(router="trim-thr", setting=0.7)},
    )
    return Deployed(manifest, folder)


def _found(spec: Any, trained: Path, root: Path, folder: Path) -> Any:
    """Return a model as it is found after the experiment: in a folder, where the workflow trained it."""
    if isinstance(spec, TrainedModel):
        return PretrainedModel(name=_trained(trained, folder))
    here = {key: relative(root / text, folder) for key, text in paths_of(spec).items() if (root / text).exists()}
    return spec.model_copy(update=here)


def _prm(experiment: Experiment, root: Path, folder: Path) -> GivenPRM | FolderPRM:
    name = experiment.pair.prm
    prm = experiment.prms[name]
    if isinstance(prm, NoisyPRM):
        raise ConfigError(f"pair.prm: {name} is a noisy PRM; name the one underneath, {prm.of}")
    if isinstance(prm, GivenPRM):
        found: GivenPRM = _found(prm, root, root, folder)
        return found
    return FolderPRM(name=_trained(root / experiment.results / "models" / f"prm-{name}", folder))


def _trained(model: Path, folder: Path) -> str:
    if not model.is_dir():
        raise InputError(f"{model}: not there yet; run the experiment first (`make reproduce`, or snakemake)")
    return relative(model, folder)


def policy_folders(experiment: Experiment, root: Path, trained_on: str) -> Iterator[tuple[str, str, int, Path]]:
    """Yield (router, variant, training run, folder) of each router that was fitted on a dataset and is there."""
    for name, router in fitted_routers(experiment.routers).items():
        for variant, run in router.runs(experiment.routers, trained_on, experiment.main_dataset):
            base = router.fitted_as[0] if router.fitted_as else name
            folder = root / experiment.results / "routers" / base / trained_on / f"{variant}.{run}"
            if folder.is_dir():
                yield name, variant, run, folder


def fitted_points(experiment: Experiment, root: Path, trained_on: str) -> dict[str, Point]:
    """Return all operating points of the fitted routers, by names such as trim-pomdp-0.4."""
    found = {}
    for name, variant, run, folder in policy_folders(experiment, root, trained_on):
        loaded: list[OperatingPoint] = list(fitted_routers(experiment.routers)[name].load(folder))
        short = Counter(f"{point.setting:g}" for point in loaded)
        for point in loaded:
            setting = f"{point.setting:g}" if short[f"{point.setting:g}"] == 1 else f"{point.setting:.9g}"
            found[f"{point_base(name, variant, run)}-{setting}"] = Point(
                router=name, variant=variant, run=run, setting=point.setting, policy=relative(folder, root)
            )
    return found


def point_base(router: str, variant: str, run: int) -> str:
    """Return how names of a router's points begin."""
    return "-".join([router, *([variant] if variant != "default" else []), *([f"run{run}"] if run else [])])
