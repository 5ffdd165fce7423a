"""`trim evaluate`: what a deployed router does on problems of one's own, beside both models alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from trim.config.datasets import FileDataset
from trim.config.experiment import Bootstrap
from trim.config.parsing import read_section
from trim.deploy.choosing import DOLLARS, LABELS, candidates
from trim.deploy.manifest import Interval, Manifest
from trim.deploy.opening import Opened
from trim.deploy.report import shown
from trim.errors import ConfigError, InputError
from trim.evaluation.prices import in_dollars
from trim.names import END_POINTS
from trim.problems.adapters import load_dataset
from trim.problems.grading import Grader
from trim.problems.problem import Problem
from trim.progress import Progress
from trim.rollout.tables import episode_table, run_points


def read_own(path: Path, layout: str, limit: int | None) -> list[Problem]:
    """Read the problems of a JSON-lines file.

    Raises
    ------
    ConfigError
        If the layout is not one that problems with answers have.
    """
    layouts = ("math", "aime", "gsm8k", "olympiadbench")
    if layout not in layouts:
        raise ConfigError(
            f"--layout {layout}: there are {', '.join(layouts)}; docs/configuration.md says what they hold"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file; name a file of problems, a JSON object a line")
    spec = read_section(FileDataset, {"source": "jsonl", "layout": layout, "path": str(path), "limit": limit})
    return load_dataset(path.stem, spec)


def part_of(path: Path) -> str:
    """Return the part of the step store that holds the steps of a file's problems."""
    return f"own-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}.test"


def evaluate(
    opened: Opened,
    name: str,
    problems: Sequence[Problem],
    replicates: int,
    settings: Bootstrap,
    on_progress: Progress | None = None,
) -> dict[str, dict[str, Interval]]:
    """Solve problems under a router and by each model alone; return what was measured by model name."""
    manifest = opened.deployed.manifest
    names = dict.fromkeys((name, *END_POINTS))
    points = {one: opened.at(one) for one in names}
    results = run_points(list(points.values()), problems, opened.pair, replicates, manifest.max_steps, on_progress)
    with Grader() as grader:
        episodes = episode_table(results, grader, exact=False).assign(trained_on="untrained")
    known = in_dollars(manifest.prices)
    found = candidates(episodes, settings, "own", known.get(price_of(manifest) or ""))
    measured = {(point.router, point.variant, point.setting): point for point in found}
    return {
        one: measured[point.router, point.variant, point.setting].intervals(settings.level)
        for one, point in points.items()
    }


def price_of(manifest: Manifest) -> str | None:
    """Return the name of the price by which dollars are counted: the first of a manifest that is in dollars."""
    return next(iter(in_dollars(manifest.prices)), None)


def as_table(found: Mapping[str, Mapping[str, Interval]], problems: int, level: float, price: str | None) -> Table:
    """Lay out what was measured, a row a model.

    Parameters
    ----------
    price
        Name of the price by which dollars were counted.
    """
    labels = {key: label for key, label in LABELS.items() if any(key in of_one for of_one in found.values())}
    labels = {key: f"{label} at prices.{price}" if key.startswith(DOLLARS) else label for key, label in labels.items()}
    title = f"{problems} problems, {level:.0%} intervals over problems"
    table = Table(Column("model", no_wrap=True), *labels.values(), title=title)
    for name, measures in found.items():
        table.add_row(name, *(shown(measures[key], dollars=key.startswith(DOLLARS)) for key in labels))
    return table


def as_json(found: Mapping[str, Mapping[str, Interval]], **more: Any) -> dict[str, Any]:
    """Return what was measured as JSON has it."""
    models = {name: {key: number.model_dump() for key, number in measures.items()} for name, measures in found.items()}
    return {**more, "models": models}
