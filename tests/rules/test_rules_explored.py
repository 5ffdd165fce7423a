"""Rules that read explored trees alone: their scripts on made trees, as all that the smoke run solves has labels."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from snakemake.iocontainers import InputFiles, OutputFiles, Params, Wildcards

from trim.config.experiment import Experiment
from trim.debug import run_script
from trim.files import read_parquet, write_parquet
from trim.layouts import EPISODES
from trim.problems.problem import write_problems
from trim.rollout.trees import RolloutTrees
from trim.rollout.vectorised import roll_out_all
from trim.routers.controls import ALONE
from trim.routers.threshold import OneStepTakeover, Threshold

SCRIPTS = Path(__file__).parents[2] / "workflow/scripts"


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the handlers of the root logger as they were: a job takes it for itself."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    yield
    logging.captureWarnings(False)


@pytest.fixture
def explored(tmp_path: Path, make_problems: Any, scripted_pair: Any) -> dict[str, str]:
    """Test problems of a dataset, and the trees that some routers explored."""
    problems = make_problems(20)
    trees = RolloutTrees(problems, 1, 8, lambda answer, problem: (answer == problem.answer,) * 2, scripted_pair())
    roll_out_all(trees, [*(point.policy for point in ALONE), Threshold(0.5), OneStepTakeover(0.3)])
    paths = {"problems": str(tmp_path / "test.jsonl"), "trees": str(tmp_path / "test.parquet")}
    write_problems(problems, Path(paths["problems"]))
    write_parquet(trees.table(), paths["trees"], {})
    return paths


def run_script_of(rule: str, folder: Path, inputs: dict[str, str], outputs: dict[str, str], **params: Any) -> str:
    """Run a rule's script; return what it logs."""
    job = SimpleNamespace(
        rule=rule,
        input=InputFiles(fromdict=inputs),
        output=OutputFiles(fromdict=outputs),
        params=Params(fromdict={"version": 1, **params}),
        wildcards=Wildcards(fromdict={"dataset": "scripted"}),
        threads=1,
        log=[str(folder / "made.log")],
        config=Experiment().model_dump(mode="json"),
    )
    assert run_script(SCRIPTS / f"{rule}.py", job, stop=False) == 0
    return (folder / "made.log").read_text(encoding="utf-8")


def test_bounds_are_episodes_on_every_problem(tmp_path: Path, explored: dict[str, str]) -> None:
    outputs = {f"{name}/untrained": str(tmp_path / name) for name in ("better-step-oracle", "perfect-information")}
    run_script_of("evaluate_bounds", tmp_path, explored, outputs)
    for name, path in outputs.items():
        episodes = read_parquet(path, EPISODES)
        assert set(episodes["router"]) == {name.split("/")[0]} and set(episodes["trained_on"]) == {"untrained"}
        assert (episodes.groupby("operating_point")["problem_id"].nunique() == 20).all()


def test_the_needed_prm_is_a_table_of_all_datasets(tmp_path: Path, explored: dict[str, str]) -> None:
    inputs = {f"{dataset}/{kind}": path for dataset in ("one", "two") for kind, path in explored.items()}
    params = {"datasets": ["one", "two"], "prm": "value", "operating_points": 5, "seed": 1}
    params["bootstrap"] = {"resamples": 20, "level": 0.9}
    outputs = {"table": str(tmp_path / "needed_prm.csv")}
    said = run_script_of("compute_needed_prm", tmp_path, inputs, outputs, **params)
    table = pd.read_csv(outputs["table"])
    assert list(table)[:4] == ["dataset", "prm", "scores", "deviation"]
    assert table.groupby("dataset").size().to_dict() == {"one": 6, "two": 6} and set(table["prm"]) == {"value"}
    assert "decisions would have left the explored trees" in said
