"""`trim calibrate`: from a finished experiment to a deployed router whose operating point was chosen and checked."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from trim.config.experiment import Experiment
from trim.deploy.choosing import Candidate, Target, candidates, choose
from trim.deploy.manifest import (
    MANIFEST,
    Calibration,
    Deployed,
    Manifest,
    Point,
    Read,
    Review,
    content_of,
    folder_sha256,
    read_manifest,
    relative,
    write_manifest,
)
from trim.deploy.results import deployed_from, point_base, policy_folders
from trim.errors import ConfigError, InputError
from trim.evaluation.bootstrap import bounds
from trim.evaluation.prices import PRICED_COLUMNS, Vector, in_dollars
from trim.evaluation.study import CURVE_COLUMNS, read_dev_episodes, read_episodes
from trim.files import written_aside
from trim.jobs import origin_of
from trim.names import END_POINTS, routers_of, variants
from trim.routers.kept_fits import LOGS
from trim.routers.registry import fitted_routers

DEV, TEST = "dev", "test"
DEFINES_STEPS = ("sampling", "max_steps", "long_steps", "device", "batch_size")
"""Settings under which points were calibrated: with others, the same router meets other steps."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be calibrated.

    Attributes
    ----------
    target
        What the operating point shall keep.
    routers
        Which ones may be chosen; empty for all of the paper's that were fitted, in their first variant.
    variant
        Variant of these routers; None for the first that there is.
    trained_on, check_on
        Dataset of fit and choice, and the one whose test problems it is checked on.
    prices
        Entry of `prices` by which dollars are counted.
    """

    target: Target
    trained_on: str
    check_on: str
    routers: Sequence[str] = ()
    variant: str | None = None
    prices: str | None = None


def calibrate(experiment: Experiment, root: Path, wanted: Wanted, folder: Path) -> tuple[str, Deployed]:
    """Choose on dev, check on test, and write the deployed router; one that is there gets one point more.

    Returns
    -------
    The model name of the point, and the deployed router.
    """
    level, target = experiment.bootstrap.level, wanted.target
    fits = _fits(experiment, root, wanted)
    numbers = _dollars(experiment, wanted.prices)
    dev, test = (_measured(experiment, root, wanted, fits, split, numbers) for split in (DEV, TEST))
    chosen = choose(dev, target, level)
    checked = next((point for point in test if point.key == chosen.key), None)
    if checked is None:
        raise InputError(
            f"{chosen.router} at {chosen.setting:g} has no episodes on {wanted.check_on}: evaluate it first"
        )
    calibration = Calibration(
        measure=target.measure,
        bound=target.bound,
        cautious=target.cautious,
        prices=wanted.prices,
        level=level,
        chosen_of=len(dev),
        chosen_on=_read(experiment, root, wanted.trained_on, DEV, chosen),
        checked_on=_read(experiment, root, wanted.check_on, TEST, checked),
        verdict=target.verdict(bounds(checked.numbers[target.measure], level)),
    )
    name = f"{point_base(chosen.router, chosen.variant, chosen.run)}-{target.name}"
    source = fits[chosen.router, chosen.variant, chosen.run]
    digest = folder_sha256(source)
    # Under its content: a router that is fitted again leaves the one of older points alone. Loaders read the last name.
    policy = folder / "policies" / chosen.router / wanted.trained_on / digest[:12] / source.name
    point = Point(
        router=chosen.router,
        variant=chosen.variant,
        run=chosen.run,
        setting=chosen.setting,
        policy=relative(policy, folder),
        policy_sha256=digest,
        calibration=calibration,
    )
    folder.mkdir(parents=True, exist_ok=True)  # paths of models climb out of it
    deployed = Deployed(_manifest(experiment, root, folder, {name: point}), folder)
    _copy(source, policy)  # behind all that may be refused
    write_manifest(deployed)
    return name, deployed


def _fits(experiment: Experiment, root: Path, wanted: Wanted) -> dict[tuple[str, str, int], Path]:
    """Return the folders of the routers that may be chosen, by router, variant and training run."""
    for option, dataset in (("--trained-on", wanted.trained_on), ("--check-on", wanted.check_on)):
        if dataset not in experiment.datasets:
            raise InputError(f"{option} {dataset}: no such dataset; there are {', '.join(experiment.datasets)}")
    known = fitted_routers(experiment.routers)  # one that takes over another's fit has no episodes on dev
    fitted = [fit for fit in policy_folders(experiment, root, wanted.trained_on) if not known[fit[0]].fitted_as]
    found = {
        (router, variant, run): folder
        for router, variant, run, folder in fitted
        if router in (wanted.routers or routers_of("trim"))
    }
    there = {router: {variant for name, variant, _ in found if name == router} for router, _, _ in found}
    first = {router: next(v for v in variants(router) if v in there[router]) for router in there}
    kept = {key: path for key, path in found.items() if key[1] == (wanted.variant or first[key[0]])}
    if not kept:
        raise InputError(
            f"{root / experiment.results / 'routers'}: no fit of {', '.join(wanted.routers) or 'any router'} on "
            f"{wanted.trained_on}{f' in variant {wanted.variant}' if wanted.variant else ''}; there are "
            f"{', '.join(sorted({name for name, *_ in fitted})) or 'none'}: run the experiment, or name another"
        )
    return kept


def _dollars(experiment: Experiment, prices: str | None) -> Vector | None:
    if prices is None:
        return None
    known = in_dollars(experiment.prices)
    if prices not in known:
        raise ConfigError(f"prices.{prices} counts no dollars; of kind api there are {', '.join(known) or 'none'}")
    return known[prices]


def _measured(
    experiment: Experiment,
    root: Path,
    wanted: Wanted,
    fits: dict[tuple[str, str, int], Path],
    split: str,
    numbers: Vector | None,
) -> list[Candidate]:
    """Return the points of the fits with what their episodes on a split say."""
    place, columns = root / experiment.results / "episodes", PRICED_COLUMNS if numbers else CURVE_COLUMNS
    if split == DEV:
        files = [folder.with_name(f"{folder.name}.dev.parquet") for folder in fits.values()]
    else:
        fitted = dict.fromkeys(f"{router}/{wanted.trained_on}" for router, _, _ in fits)
        names = [*fitted, *(f"{name}/untrained" for name in END_POINTS)]
        files = [place / name / f"{wanted.check_on}.parquet" for name in names]
    for path in files:
        if not path.is_file():
            raise InputError(f"{path}: not there; run the experiment first, or name another dataset")
    episodes = (read_dev_episodes if split == DEV else read_episodes)(map(str, files), columns)
    found = candidates(episodes, experiment.bootstrap, experiment.seed, numbers)
    return [point for point in found if (point.router, point.variant, point.run) in fits]


def _read(experiment: Experiment, root: Path, dataset: str, split: str, point: Candidate) -> Read:
    path = root / experiment.results / "problems" / dataset / f"{split}.jsonl"
    content = path.read_bytes()
    return Read(
        dataset=dataset,
        split=split,
        problems=content.count(b"\n"),
        sha256=hashlib.sha256(content).hexdigest(),
        measures=point.intervals(experiment.bootstrap.level),
    )


def _copy(source: Path, target: Path) -> None:
    """Copy what was fitted into the deployed folder, without the logs of training."""
    with written_aside(target) as aside:
        shutil.copytree(source, aside, ignore=shutil.ignore_patterns(LOGS))


def _manifest(experiment: Experiment, root: Path, folder: Path, points: dict[str, Point]) -> Manifest:
    """Return the manifest with new points first; points of one that is there stay, if its models are the same."""
    base = deployed_from(experiment, root, folder)
    contents = {role: content_of(spec) for role, spec in base.models.items()}
    made = base.manifest.model_copy(
        update={"points": points, "contents": contents, "origin": origin_of(experiment), "routers": experiment.routers}
    )
    if not (folder / MANIFEST).is_file():
        return made
    known = read_manifest(folder).manifest
    if known.contents != contents or any(getattr(known, name) != getattr(made, name) for name in DEFINES_STEPS):
        raise InputError(
            f"{folder}: holds a router before other models, or other settings of them; name another folder (--out), or "
            "remove it"
        )
    for name, point in points.items():
        there, new = (p.calibration if p else None for p in (known.points.get(name), point))
        if there and new and (there.chosen_on.dataset, there.prices) != (new.chosen_on.dataset, new.prices):
            raise InputError(
                f"{folder}: holds {name}, chosen on {there.chosen_on.dataset}"
                f"{f' at {there.prices}' if there.prices else ''}; name another folder (--out), or remove it"
            )
    others = {name: point for name, point in known.points.items() if name not in points}
    return made.model_copy(update={"points": points | others, "review": known.review})


def review(deployed: Deployed, by: str, note: str) -> Deployed:
    """Write down who looked at a deployed router as it is now."""
    if not by.strip():
        raise InputError("--by is empty: write who looked at it")
    manifest = deployed.manifest
    date = datetime.now(UTC).date().isoformat()
    reviewed = manifest.model_copy(
        update={"review": Review(by=by, date=date, note=note, content=manifest.content_hash)}
    )
    written = Deployed(reviewed, deployed.folder)
    write_manifest(written)
    return written
