"""What the commands start from: a deployed router, or the experiment of this checkout; and which problem."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trim.config.experiment import Experiment
from trim.config.reading import read_experiment
from trim.deploy.answering import as_problem
from trim.deploy.manifest import Deployed, read_manifest
from trim.deploy.results import deployed_from, fitted_points
from trim.errors import InputError
from trim.problems.problem import Problem, read_problems


def find_deployed(place: Path | None, overlays: Sequence[Path], root: Path) -> Deployed:
    """Return the deployed router at a place, or the experiment of a checkout as one, with all its points."""
    if place is not None:
        return read_manifest(place)
    if not any((root / name).exists() for name in ("config.yaml", "results")):  # `trim run` needs no config.yaml
        raise InputError(f"{root}: no config.yaml here; name a deployed router (--deployed), or go to a checkout")
    experiment = read_experiment(root, overlays)
    deployed = deployed_from(experiment, root, root)
    points = fitted_points(experiment, root, experiment.main_dataset)
    manifest = deployed.manifest.model_copy(update={"points": deployed.manifest.points | points})
    return Deployed(manifest, root)


def find_problem(text: str | None, file: Path | None) -> Problem:
    """Return the problem that somebody wrote, on the command line or into a file."""
    if (text is None) == (file is None):
        raise InputError("name one problem: its text, --file, or --dataset with --problem")
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: cannot be read as UTF-8 ({error}); check the path") from None
    if not text or not text.strip():
        raise InputError("the problem is empty; write its text")
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise InputError("the problem is no UTF-8 text; set the terminal to UTF-8, or put it into a file (--file)")
    return as_problem(text.strip())


def find_prepared(experiment: Experiment, root: Path, dataset: str, split: str, number: int) -> Problem:
    """Return the n-th problem, from 1, of a split of a dataset that the experiment prepared."""
    if dataset not in experiment.datasets:
        raise InputError(f"there is no dataset {dataset!r}; there are {', '.join(experiment.datasets)}")
    path = root / experiment.results / "problems" / dataset / f"{split}.jsonl"
    if not path.is_file():
        there = ", ".join(sorted(found.stem for found in path.parent.glob("*.jsonl"))) or "none yet: run the experiment"
        raise InputError(f"{path}: no such split of {dataset}; there are {there}")
    problems = read_problems(path)
    if not 1 <= number <= len(problems):
        raise InputError(f"{path}: there is no problem {number}; there are 1 to {len(problems)}")
    return problems[number - 1]
