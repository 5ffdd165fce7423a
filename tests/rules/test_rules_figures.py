"""Rules of figures and of the explorer, each alone: what it leaves, and that it is what the whole run left."""

import json
import re
import shutil
from pathlib import Path

import pytest
from rule_outputs import assert_same
from run_rule import run_rule
from smoke import RESULTS, planned_figures, snakemake


@pytest.mark.parametrize(
    ("needed", "figures"),
    [
        (
            {"tables"},
            [
                "accuracy_vs_cost_arith-words",
                "controls_arith",
                "strong_calls_arith",
                "prm_reliability",
                "prm_outcomes_arith-words",
                "claims",
                "prices_arith",
                "stepwise_vs_query_arith-words",
                "oracle_region",
                "transfer_curves",
                "generalization_matrix",
                "prm_quality_routing",
                "planners",
                "prefixes",
                "ablations",
                "budgeted",
                "interventions",
            ],
        ),
        (
            {"routers"},
            ["learning_curves_arith", "observation_model_arith", "joint_observation_arith", "pomdp_policy_arith"],
        ),
        ({"routers", "scores"}, ["decision_map_arith"]),
    ],
    ids=["tables", "routers", "routers-and-scores"],
)
def test_plot_figure(needed: set[str], figures: list[str], smoke_copy: Path, smoke_run: Path) -> None:
    rooms = {"models", "rollouts", "scores", "trees", "routers", "episodes", "problems", "tables"}
    for room in rooms - needed:
        shutil.rmtree(smoke_copy / RESULTS / room)
    targets = [RESULTS / f"figures/{figure}.{kind}" for figure in figures for kind in ("pdf", "png")]
    run_rule("plot_figure", smoke_copy, *targets, jobs=len(figures))
    assert_same(smoke_copy, smoke_run, *targets)


def test_build_explorer(smoke_copy: Path, smoke_run: Path) -> None:
    """Without models and without the step store; what is followed is what was evaluated."""
    shutil.rmtree(smoke_copy / "step_store")
    for room in ("models", "rollouts", "scores", "episodes"):
        shutil.rmtree(smoke_copy / RESULTS / room)
    target = RESULTS / "explorer.html"
    run_rule("build_explorer", smoke_copy, target)
    assert_same(smoke_copy, smoke_run, target)
    page = (smoke_copy / target).read_text(encoding="utf-8")
    held = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert {data["name"]: len(data["problems"]) for data in held["datasets"]} == {"arith": 24, "arith-words": 16}
    for data in held["datasets"]:
        assert [router["id"] for router in data["routers"]] == ["trim-thr", "trim-agg", "trim-seq", "trim-pomdp"]
        assert (data["trained_on"], data["labelled"]) == ("arith", True)
        for column in range(4 * len(held["shares"])):
            router, point = divmod(column, len(held["shares"]))
            right = 0
            for problem in data["problems"]:
                at = 0
                while at >= 0:  # neither the end (-2) nor what nobody explored (-1)
                    state = problem["states"][at]
                    action = int(state["decisions"][column])
                    kept, at = state["steps"][action], state["next"][action]
                assert at == -2
                right += kept["correct"]
            accuracy = data["routers"][router]["points"][point]["accuracy"]
            assert right / len(data["problems"]) == pytest.approx(accuracy, abs=1e-4)


def test_no_figure_shows_what_the_config_does_not_train(smoke_run: Path) -> None:
    changes = {"routers": {"agg": {"variants": []}, "pomdp": {"variants": ["released"]}}}
    planned = planned_figures(snakemake(smoke_run, "--dry-run", "--forceall", targets=("figures",), changes=changes))
    assert {"learning_curves_arith", "joint_observation_arith"} <= planned  # of TRIM-Seq, and of `released`
    assert not {"decision_map_arith", "observation_model_arith", "pomdp_policy_arith"} & planned


def test_build_calculator(smoke_copy: Path, smoke_run: Path) -> None:
    """From the test episodes alone."""
    shutil.rmtree(smoke_copy / "step_store")
    target = RESULTS / "calculator.html"
    run_rule("build_calculator", smoke_copy, target)
    assert_same(smoke_copy, smoke_run, target)
    page = (smoke_copy / target).read_text(encoding="utf-8")
    held = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert [data["name"] for data in held["datasets"]] == ["arith", "arith-words"]
    for data in held["datasets"]:
        assert {"weak-only", "strong-only", "trim-thr", "rsd"} < {router["id"] for router in data["routers"]}
    assert held["measured"] == {}
