"""The table of figures: what it holds, what other packages add to it, and what is wrong in it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from packages import installed
from smoke import ROOT, environment

from trim.config.experiment import Experiment
from trim.config.parsing import parse_config
from trim.errors import ConfigError, InputError
from trim.figures import drawings, registry
from trim.figures.spec import FigureSpec, tables
from trim.plugins import added


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What other packages seem to add."""
    entries: dict[str, Any] = {}
    monkeypatch.setattr(registry, "added", lambda group: entries if group == "trim.figures" else added(group))
    yield entries


def spec(name: str = "mine", **options: Any) -> FigureSpec:
    return FigureSpec(name, "mine:draw", "once", tables("main"), "Main results", "mine", "Mine.", **options)


def test_the_table_is_read_without_what_draws() -> None:
    heavy = "matplotlib pandas seaborn torch scipy"
    code = f"import sys, trim.figures.registry; print(sorted(set('{heavy}'.split()) & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, env=environment(ROOT), check=True, capture_output=True).stdout.strip() == b"[]"


@pytest.mark.parametrize("name", registry.figures())
def test_every_draw_function_is_there(name: str) -> None:
    assert callable(registry.figures()[name].function())


def test_figures_are_drawn_for_what_they_say() -> None:
    experiment = parse_config({"evaluated_on": ["arith", "arith-words"], "routers": {"trained_on": ["arith"]}})
    there = drawings.drawings(experiment)
    assert {"controls_arith", "controls_arith-words", "decision_map_arith", "claims"} <= set(there)
    assert "decision_map_arith-words" not in there
    assert there["controls_arith-words"].arguments(experiment) == {"dataset": "arith-words", "trained_on": "arith"}
    assert there["decision_map_arith"].arguments(experiment) == {"trained_on": "arith"}
    assert there["claims"].arguments(experiment) == {}
    assert there["claims"].labels == {"figure": "claims", "dataset": "all"}
    assert there["controls_arith"].labels["dataset"] == "arith"


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"routers": {"agg": {"variants": []}}}, "decision_map"),
        ({"routers": {"agg": {"variants": []}, "seq": {"variants": []}}}, "learning_curves"),
        ({"routers": {"pomdp": {"variants": ["released"]}}}, "pomdp_policy"),
        ({"routers": {"pomdp": {"variants": ["default"]}}}, "joint_observation"),
        ({"routers": {"pomdp": {"variants": ["released"]}}}, "planners"),
        ({"routers": {"trained_on": ["arith-hard"]}}, "planners"),
        ({"planners": {"kappas": []}}, "planners"),
        ({"routers": {"trained_on": ["arith-hard"]}}, "prefixes"),
        ({"evaluated_on": ["arith"], "routers": {"trained_on": ["arith"]}}, "transfer_curves"),
        ({"reported_prms": []}, "prm_quality_routing"),
        ({"routers": {"trained_on": ["arith-hard"]}}, "prm_quality_routing"),
    ],
)
def test_what_an_experiment_has_nothing_for_is_not_drawn(changes: Mapping[str, Any], gone: str) -> None:
    def kinds(experiment: Experiment) -> set[str]:
        return {drawing.figure.name for drawing in drawings.drawings(experiment).values()}

    assert gone in kinds(parse_config({}))
    assert gone not in kinds(parse_config(changes))


def test_captions_and_axes_say_what_stands_in_for_labels() -> None:
    content = parse_config({}).model_dump(mode="json")
    content["datasets"]["riddles"] = {"source": "jsonl", "layout": "math", "path": "riddles.jsonl"}
    content["evaluated_on"] = ["arith", "riddles"]
    both = Experiment.model_validate(content)
    there = drawings.drawings(both)
    labelled, answers = (there[f"accuracy_vs_cost_{name}"] for name in ("arith", "riddles"))
    assert labelled.caption(both) == labelled.figure.caption
    assert "a lower bound of what a router that sees all futures could reach" in answers.caption(both)
    quality = there["prm_quality_routing"]
    assert quality.arguments(both) == {"dataset": "arith"} and quality.caption(both) == quality.figure.caption

    content["datasets"]["puzzles"] = content["datasets"]["riddles"] | {
        "path": "puzzles.jsonl",
        "splits": {"prm_train": 0.4, "router_train": 0.3, "dev": 0.3},
    }
    content |= {"main_dataset": "puzzles", "evaluated_on": ["riddles", "arith"]}
    content["routers"]["trained_on"] = ["puzzles"]
    away = Experiment.model_validate(content)
    assert quality.arguments(away) == {
        "dataset": "riddles",
        "measure_of": "AUC of the lowest score against the final answer",
    }
    assert "those of riddles are solved. Steps have no labels" in quality.caption(away)


def test_an_unknown_figure_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="there is no figure 'unheard-of'; there are accuracy_vs_cost_arith, .*claims"):
        drawings.drawing(parse_config({}), "unheard-of")


def test_a_figure_of_another_package_stands_last(registered: dict[str, Any]) -> None:
    registered["mine"] = spec()
    assert list(registry.figures())[-1] == "mine"
    assert drawings.drawing(parse_config({}), "mine").inputs(parse_config({})) == {
        "main": "results/embedded/tables/main.csv"
    }


def test_what_is_no_figure_is_refused(registered: dict[str, Any]) -> None:
    registered["mine"] = print
    with pytest.raises(ConfigError, match="trim.figures: 'mine' is a builtin_function_or_method, not a FigureSpec"):
        registry.figures()


def test_a_name_that_is_taken_is_refused(registered: dict[str, Any]) -> None:
    registered["mine"] = spec("claims")
    with pytest.raises(ConfigError, match="'mine' draws 'claims', which another figure is called already"):
        registry.figures()


def test_two_figures_do_not_share_a_file(registered: dict[str, Any]) -> None:
    registered["mine"] = spec("controls_arith")
    with pytest.raises(ConfigError, match="the figures 'controls' and 'controls_arith' would both be controls_arith"):
        drawings.drawings(parse_config({}))


@pytest.mark.parametrize("draw", ["no_such_module:draw", "trim.figures.claims:no_such_function", "trim.figures.claims"])
def test_a_draw_function_that_is_not_there_is_named(draw: str) -> None:
    broken = FigureSpec("mine", draw, "once", tables("main"), "Main results", "mine", "Mine.")
    with pytest.raises(ConfigError, match=f"figure 'mine': '{draw}', which draws it, is not there"):
        broken.function()


def test_an_installed_package_adds_its_figure(tmp_path: Path) -> None:
    packages = installed(tmp_path / "packages")
    code = "from trim.figures.registry import figures; print(*figures())"
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, env=environment(ROOT, packages), check=True, capture_output=True, text=True).stdout
    assert said.split()[-1] == "steepness"
