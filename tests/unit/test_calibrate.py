"""Choosing an operating point on dev and checking it on test, down to the files that are left."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_episodes import PROBLEMS, Point, ends, made_episodes, right
from typer.testing import CliRunner

from trim.cli import app
from trim.config.experiment import Bootstrap, Experiment
from trim.deploy.calibration import Wanted, calibrate, review
from trim.deploy.choosing import Target, candidates, choose
from trim.deploy.evaluation import evaluate, part_of, read_own
from trim.deploy.manifest import REPORT, Deployed, read_manifest
from trim.deploy.opening import operating_point
from trim.deploy.report import write_report
from trim.deploy.results import fitted_points
from trim.errors import ConfigError, InputError
from trim.evaluation.bootstrap import Bounds
from trim.files import read_json, write_parquet
from trim.layouts import EPISODES, READ
from trim.problems.problem import Problem, write_problems
from trim.routers.threshold import FittedThresholds, Threshold

BOOTSTRAP = Bootstrap(resamples=200)
HALF, MOST = right(20), right(36)
SWEEP: Mapping[Point, tuple[np.ndarray, np.ndarray]] = {
    ("arith", "trim-thr", "default", 0.2): (HALF, np.full(PROBLEMS, 1)),
    ("arith", "trim-thr", "default", 0.4): (right(30), np.full(PROBLEMS, 2)),
    ("arith", "trim-thr", "default", 0.6): (MOST, np.full(PROBLEMS, 5)),
}


def whole(episodes: pd.DataFrame) -> pd.DataFrame:
    """Add the columns of episodes that nobody here looks at, and give each model something to read."""
    texts = {name: "" for name, column in EPISODES.items() if column.kind == "text" and name not in episodes}
    counts = {name: 0 for name in (*EPISODES, *READ) if name not in episodes and name not in texts}
    filled = episodes.assign(**(counts | texts)).assign(correct_strict=episodes["correct"])
    return filled.assign(weak_tokens=100, strong_input_tokens=episodes["strong_tokens"])


def points() -> list:
    return candidates(made_episodes({**ends(), **SWEEP}), BOOTSTRAP, 0)


# --- choosing ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "setting"),
    [
        (Target("strong_share", 0.1), 0.2),
        (Target("strong_share", 0.3), 0.4),
        (Target("strong_share", 0.9), 0.6),
        (Target("accuracy_share", 0.5), 0.2),
        (Target("accuracy_share", 0.55), 0.4),
        (Target("accuracy_share", 0.9), 0.6),
        (Target("accuracy_share", 0.5, cautious=True), 0.4),
    ],
)
def test_the_best_point_that_keeps_the_bound_is_chosen(target: Target, setting: float) -> None:
    thresholds = [point for point in points() if point.router == "trim-thr"]
    assert choose(thresholds, target, 0.95).setting == setting


def test_where_no_point_keeps_the_bound_the_nearest_is_named() -> None:
    thresholds = [point for point in points() if point.router == "trim-thr"]
    with pytest.raises(InputError, match="none of 3 operating points keeps .* at most 0.05; the nearest reaches 0.1"):
        choose(thresholds, Target("strong_share", 0.05), 0.95)
    with pytest.raises(InputError, match="at least 0.95; the nearest reaches 0.9"):
        choose(thresholds, Target("accuracy_share", 0.95), 0.95)


@pytest.mark.parametrize(
    ("target", "found", "verdict"),
    [
        (Target("strong_share", 0.2), Bounds(0.15, 0.1, 0.2), "holds"),
        (Target("strong_share", 0.2), Bounds(0.15, 0.1, 0.21), "undecided"),
        (Target("strong_share", 0.2), Bounds(0.3, 0.21, 0.4), "fails"),
        (Target("accuracy_share", 0.9), Bounds(0.95, 0.9, 1.0), "holds"),
        (Target("accuracy_share", 0.9), Bounds(0.95, 0.89, 1.0), "undecided"),
        (Target("accuracy_share", 0.9), Bounds(0.8, 0.7, 0.89), "fails"),
        (Target("accuracy_share", 0.9), Bounds(0.95, np.nan, np.nan), "undecided"),
    ],
)
def test_the_verdict_is_of_the_whole_interval(target: Target, found: Bounds, verdict: str) -> None:
    assert target.verdict(found) == verdict


def test_dollars_are_those_of_the_prices() -> None:
    found = candidates(
        whole(made_episodes({**ends(), **SWEEP})), BOOTSTRAP, 0, {"strong_tokens": 2.0, "weak_tokens": 1.0}
    )
    paid = {point.setting: point.numbers["dollars_per_1k"][0] for point in found if point.router == "trim-thr"}
    assert paid == pytest.approx({0.2: 120_000, 0.4: 140_000, 0.6: 200_000})


# --- from results to a deployed router ---------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with what calibration reads of a finished experiment."""
    results = tmp_path / "results" / "embedded"
    for model in ("weak", "strong", "prm-verifier"):
        (results / "models" / model).mkdir(parents=True)
        (results / "models" / model / "config.json").write_text(f'{{"model": "{model}"}}')
    problems = [Problem(f"p{i:03d}", "arith", f"problem {i}", "1", f"{i:08x}") for i in range(PROBLEMS)]
    for split in ("dev", "test"):
        write_problems(problems, results / "problems" / "arith" / f"{split}.jsonl")
    fit = results / "routers" / "trim-thr" / "arith" / "default.0"
    FittedThresholds("trim-thr", "default", [0.2, 0.4, 0.6]).save(fit, {})
    episodes = whole(made_episodes({**ends(), **SWEEP}))
    write_parquet(episodes.drop(columns="trained_on"), fit.with_name("default.0.dev.parquet"), {})
    for (router, trained_on), part in episodes.groupby(["router", "trained_on"]):
        write_parquet(part, results / "episodes" / str(router) / str(trained_on) / "arith.parquet", {})
    return tmp_path


def wanted(target: Target, **changes: object) -> Wanted:
    return Wanted(target, "arith", "arith", **changes)  # type: ignore[arg-type]


EXPERIMENT = Experiment(bootstrap=BOOTSTRAP)


def test_a_calibration_leaves_a_router_that_decides_as_it_was_chosen(root: Path) -> None:
    folder = root / "deployed" / "mine"
    name, _ = calibrate(EXPERIMENT, root, wanted(Target("strong_share", 0.25)), folder)
    assert name == "trim-thr-budget-25"
    deployed = read_manifest(folder)
    deployed.check()
    point = deployed.manifest.points[name]
    assert operating_point(deployed, name).policy == Threshold(0.4)
    found = point.calibration
    assert found is not None and found.verdict == "holds" and found.chosen_of == 3
    assert found.checked_on.measures["accuracy"].value == pytest.approx(0.75)
    assert found.chosen_on.problems == found.checked_on.problems == PROBLEMS
    assert set(deployed.manifest.contents) == {"weak", "strong", "prm"} and "code" in deployed.manifest.origin
    write_report(deployed)
    page = (folder / REPORT).read_text(encoding="utf-8")
    assert name in page and "75.0% [" in page and "It holds" in page and "Nobody has reviewed it" in page


def test_a_second_target_adds_a_point_and_outdates_the_review(root: Path) -> None:
    folder = root / "deployed" / "mine"
    calibrate(EXPERIMENT, root, wanted(Target("strong_share", 0.25)), folder)
    assert review(read_manifest(folder), "A", "fine").manifest.is_reviewed
    calibrate(EXPERIMENT, root, wanted(Target("accuracy_share", 0.9)), folder)
    manifest = read_manifest(folder).manifest
    assert list(manifest.points) == ["trim-thr-accuracy-90", "trim-thr-budget-25"]
    assert manifest.review is not None and not manifest.is_reviewed


def test_another_model_than_the_calibrated_one_is_refused(root: Path) -> None:
    folder = root / "deployed" / "mine"
    calibrate(EXPERIMENT, root, wanted(Target("strong_share", 0.25)), folder)
    (root / "results" / "embedded" / "models" / "weak" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="weak: .* is another model"):
        read_manifest(folder).check()
    with pytest.raises(InputError, match="before other models"):
        calibrate(EXPERIMENT, root, wanted(Target("strong_share", 0.9)), folder)


def test_a_refused_calibration_changes_no_byte(root: Path) -> None:
    folder = root / "deployed" / "mine"
    calibrate(EXPERIMENT, root, wanted(Target("strong_share", 0.25)), folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (root / "results" / "embedded" / "models" / "weak" / "config.json").write_text("{}")
    refit(root)
    with pytest.raises(InputError, match="before other models"):
        calibrate(EXPERIMENT, root, wanted(Target("strong_share", 0.9)), folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_points_of_a_router_that_was_fitted_again_stand_beside_those_of_before(root: Path) -> None:
    folder = root / "deployed" / "mine"
    calibrate(EXPERIMENT, root, wanted(Target("strong_share", 0.25)), folder)
    refit(root)
    calibrate(EXPERIMENT, root, wanted(Target("accuracy_share", 0.9)), folder)
    deployed = read_manifest(folder)
    deployed.check()
    assert len({point.policy for point in deployed.manifest.points.values()}) == 2
    assert operating_point(deployed, "trim-thr-budget-25").policy == Threshold(0.4)
    assert operating_point(deployed, "trim-thr-accuracy-90").policy == Threshold(0.6)


def refit(root: Path) -> None:
    """Fit the router again, with another result."""
    fit = root / "results" / "embedded" / "routers" / "trim-thr" / "arith" / "default.0"
    FittedThresholds("trim-thr", "default", [0.2, 0.4, 0.6, 0.8]).save(fit, {})


def test_dollars_need_prices_in_dollars(root: Path) -> None:
    target = Target("dollars_per_1k", 1.0)
    name, deployed = calibrate(EXPERIMENT, root, wanted(target, prices="api"), root / "deployed")
    assert name == "trim-thr-dollars-1"
    found = deployed.manifest.points[name].calibration
    assert found is not None and found.prices == "api"
    paid = found.checked_on.measures["dollars_per_1k"].value
    assert paid == pytest.approx(1000 * (50 * (15 + 3) + 100 * 0.05) / 1e6)
    with pytest.raises(ConfigError, match="prices.decoded counts no dollars"):
        calibrate(EXPERIMENT, root, wanted(target, prices="decoded"), root / "deployed")


def test_a_point_takes_no_name_of_one_that_was_chosen_otherwise(root: Path) -> None:
    calibrate(EXPERIMENT, root, wanted(Target("strong_share", 0.25)), root / "deployed")
    again = calibrate(EXPERIMENT, root, wanted(Target("strong_share", 0.25)), root / "deployed")  # the same one
    assert len(again[1].manifest.points) == 1
    with pytest.raises(InputError, match="holds trim-thr-budget-25, chosen on arith; name another folder"):
        calibrate(EXPERIMENT, root, wanted(Target("strong_share", 0.25), prices="api"), root / "deployed")
    cut = EXPERIMENT.model_copy(update={"long_steps": "cut"})
    with pytest.raises(InputError, match="or other settings of them"):
        calibrate(cut, root, wanted(Target("strong_share", 0.3)), root / "deployed")


def test_a_router_that_takes_over_the_fit_of_another_is_none_to_calibrate(root: Path) -> None:
    with pytest.raises(InputError, match="no fit of one-step-takeover on arith; there are trim-thr"):
        calibrate(
            EXPERIMENT, root, wanted(Target("strong_share", 0.2), routers=["one-step-takeover"]), root / "deployed"
        )


def test_what_was_not_fitted_is_named(root: Path) -> None:
    with pytest.raises(InputError, match="no fit of trim-pomdp on arith; there are trim-thr"):
        calibrate(EXPERIMENT, root, wanted(Target("strong_share", 0.2), routers=["trim-pomdp"]), root / "deployed")


def test_an_experiment_has_a_name_for_every_operating_point(root: Path) -> None:
    found = fitted_points(EXPERIMENT, root, "arith")
    assert {"trim-thr-0.2", "trim-thr-0.4", "one-step-takeover-0.6"} <= set(found)
    deployed = Deployed(read_any(root).manifest.model_copy(update={"points": found}), root)
    assert operating_point(deployed, "trim-thr-0.4").policy == Threshold(0.4)


def read_any(root: Path) -> Deployed:
    _, deployed = calibrate(EXPERIMENT, root, wanted(Target("strong_share", 0.25)), root / "deployed")
    return deployed


# --- the commands -----------------------------------------------------------------------


def test_the_commands_calibrate_review_and_inspect(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    (root / "config.yaml").write_text("bootstrap: {resamples: 200}\n")
    runner = CliRunner()
    done = runner.invoke(app, ["calibrate", "--budget", "25%"])
    assert done.exit_code == 0, done.output
    assert "trim-thr-budget-25, holds" in done.output
    assert runner.invoke(app, ["review", "deployed/embedded", "--by", "A reader"]).exit_code == 0
    said = runner.invoke(app, ["inspect", "deployed/embedded"], env={"COLUMNS": "200"}).output
    assert "reviewed by A reader" in said and "trim-thr-budget-25" in said and "those that were calibrated" in said
    (policy,) = (root / "deployed/embedded/policies/trim-thr/arith").glob("*/default.0")
    said = runner.invoke(app, ["inspect", str(policy)]).output
    assert "trim-thr, default.0: 3 operating points" in said and "0.2, 0.4, 0.6" in said
    assert "40" not in runner.invoke(app, ["inspect", "results/embedded"]).output
    said = runner.invoke(app, ["inspect", "results/embedded/episodes/trim-thr/arith/arith.parquet"]).output
    assert "120 rows" in said
    refused = runner.invoke(app, ["inspect", "results"])
    assert refused.exit_code == 1 and "no deployed router" in refused.output


@pytest.mark.parametrize("arguments", [[], ["--budget", "20%", "--accuracy", "95%"], ["--budget", "much"]])
def test_calibrate_wants_one_target(root: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.chdir(root)
    done = CliRunner().invoke(app, ["calibrate", *arguments])
    assert done.exit_code == 1 and "Traceback" not in done.output
    assert "20%" in done.output


# --- problems of one's own ---------------------------------------------------------------


def test_problems_of_ones_own_are_solved_and_graded(scripted_pair, tmp_path: Path) -> None:
    from deployed import opened

    path = tmp_path / "mine.jsonl"
    path.write_text("".join(f'{{"problem": "problem {i}", "answer": "{i % 2}"}}\n' for i in range(12)))
    problems = read_own(path, "math", None)
    found = evaluate(opened(scripted_pair()), "trim-thr-0.5", problems, 2, BOOTSTRAP)
    assert list(found) == ["trim-thr-0.5", "weak-only", "strong-only"]
    assert found["weak-only"]["strong_share"].value == 0 and found["strong-only"]["strong_share"].value == 1
    share = found["trim-thr-0.5"]["strong_share"]
    assert share.value is not None and share.lo is not None and share.hi is not None
    assert 0 < share.lo <= share.value <= share.hi < 1.5
    assert all(0 <= (measures["accuracy"].value or 0) <= 1 for measures in found.values())
    assert found["trim-thr-0.5"]["dollars_per_1k"].value
    assert part_of(path).startswith("own-")
    with pytest.raises(ConfigError, match="--layout x"):
        read_own(path, "x", None)


def test_dollars_name_their_price() -> None:
    from deployed import manifest
    from rich.console import Console

    from trim.deploy.evaluation import as_table, price_of
    from trim.deploy.manifest import Interval

    price = price_of(manifest())
    assert price == "api" and price_of(manifest(prices={})) is None
    console = Console(width=200)
    with console.capture() as captured:
        console.print(as_table({"a": {"dollars_per_1k": Interval(value=0.5)}}, 3, 0.95, price))
    assert "dollars for 1,000 problems at prices.api" in captured.get()


def test_what_was_measured_is_written_as_json(tmp_path: Path) -> None:
    from trim.deploy.evaluation import as_json
    from trim.deploy.manifest import Interval
    from trim.files import write_json

    write_json(as_json({"a": {"accuracy": Interval(value=0.5, lo=0.4)}}, problems=3), tmp_path / "out.json")
    found = read_json(tmp_path / "out.json")
    assert found == {"problems": 3, "models": {"a": {"accuracy": {"value": 0.5, "lo": 0.4, "hi": None}}}}
