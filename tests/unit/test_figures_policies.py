"""Figures of what the learned routers and the POMDP do: what is drawn of small ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figure_inputs import (
    joint_observation_model,
    learning_table,
    legend,
    linear_policy,
    scored_rollouts,
    solved_pomdp,
)
from pomdp_models import random_model, random_observed

from trim.figures import (
    decision_map,
    joint_observation,
    learning_curves,
    observation_model,
    planners,
    pomdp_policy,
)
from trim.figures.style import STATE_LOOKS
from trim.files import write_json
from trim.routers.pomdp.policy import PomdpPolicy

pytestmark = pytest.mark.usefixtures("no_open_figures")


def test_the_observation_model_has_a_panel_an_author() -> None:
    observation = solved_pomdp().model.observation
    figure = observation_model.draw(observation, "arith")
    assert [axes.get_title() for axes in figure.axes] == ["drafts by the weak model", "steps by the strong model"]
    assert legend(figure.axes[0]) == [look.label for look in STATE_LOOKS]
    for axes, likelihoods in zip(figure.axes, (observation.draft, observation.strong), strict=True):
        drawn = [patch.get_data().values for patch in axes.patches]
        np.testing.assert_allclose(np.stack(drawn, 1), 100 * likelihoods)
    at = figure.axes[0].get_xticks()
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == [f"{observation.edges[int(i)]:.3g}" for i in at]


def test_a_strong_model_whose_scores_tell_nothing_has_no_panel() -> None:
    model = random_model(np.random.default_rng(5), strong_scores=False)
    assert len(observation_model.draw(model.observation, "arith").axes) == 1


def planner_table() -> pd.DataFrame:
    """Rows of two kappas: exact solution, threshold, POUCT by rollouts and simulations, SARSOP without a value."""
    rows = []
    for kappa, best in ((0.1, 0.8), (1.0, 0.5)):
        rows.append({"kappa": kappa, "planner": "exact", "value": best, "value_lo": best - 0.01, "value_hi": best})
        rows.append({"kappa": kappa, "planner": "threshold", "value": best - 0.05})
        for rollouts, lost in (("random", 0.2), ("threshold", 0.1)):
            for simulations in (100, 10):
                value = best - lost * 10 / simulations
                ends = {"value_lo": value - 0.02, "value_hi": value + 0.02}
                head = {"kappa": kappa, "planner": "pouct", "rollouts": rollouts, "simulations": simulations}
                rows.append({**head, "value": value, **ends})
        rows.append({"kappa": kappa, "planner": "sarsop", "reason": "none"})
    return pd.DataFrame(rows)


def test_planners_rise_by_simulations_towards_the_exact_solution() -> None:
    figure = planners.draw(planner_table())
    assert [axes.get_title() for axes in figure.axes] == ["kappa = 0.1", "kappa = 1"]
    assert legend(figure.axes[0]) == [
        *("exact solution", "best threshold"),
        *("POUCT, random rollouts", "POUCT, threshold rollouts"),
    ]
    exact, threshold, at_random, by_threshold = figure.axes[1].get_lines()
    assert (set(exact.get_ydata()), set(threshold.get_ydata())) == ({0.5}, {0.45})
    np.testing.assert_allclose(at_random.get_xydata(), [[10, 0.3], [100, 0.48]])
    np.testing.assert_allclose(by_threshold.get_ydata(), [0.4, 0.49])
    assert len({(line.get_marker(), line.get_linestyle()) for line in figure.axes[1].get_lines()}) == 4


def test_joint_observations_have_the_lowest_score_before_on_the_x_axis() -> None:
    observation = joint_observation_model()
    *panels, bar = joint_observation.draw(observation, "arith").axes
    assert [axes.get_title() for axes in panels] == [look.label for look in STATE_LOOKS]
    assert {axes.get_xlabel() for axes in panels} == {"lowest score before"}
    assert bar.get_ylabel() == "probability in the state (%)"
    for state, axes in enumerate(panels):
        drawn = axes.collections[0].get_array()
        for minimum, score in ((0.1, 0.5), (0.9, 0.1)):
            symbol = observation.draft_symbol(score, minimum)
            row, column = observation.index(score), observation.index(minimum)  # y, x
            assert drawn[row, column] == pytest.approx(100 * observation.draft[symbol, state])


def test_break_even_tokens_of_a_last_step_are_what_is_gained_over_the_cost() -> None:
    solved = solved_pomdp()
    transition, cost = solved.model.transition, solved.costs[1]
    found = pomdp_policy.break_even_tokens(solved, solved.kappas[1], 2, np.eye(3), final=True)
    np.testing.assert_allclose(found, [(transition.strong_if_right - 1) / cost, 0, transition.strong_if_wrong / cost])


def test_the_policy_regenerates_drafts_up_to_the_break_even() -> None:
    solved, rng = solved_pomdp(), np.random.default_rng(6)
    model, values, cost = solved.at(solved.kappas[1])
    observed = random_observed(rng, model, 200)
    first = np.zeros(200, dtype=int)  # at the first step the belief depends on one score alone
    observed = replace(observed, position=first, final=first > 0)
    prior = (
        model.transition.weak_accuracy[0] * np.array([1, 0, 0]) + (1 - model.transition.weak_accuracy[0]) * np.eye(3)[2]
    )
    joint = prior * model.observation.draft[model.observation.index(observed.score)]
    longest = pomdp_policy.break_even_tokens(
        solved, solved.kappas[1], 0, joint / joint.sum(1, keepdims=True), final=False
    )
    decided = PomdpPolicy(model, values, cost).decide(observed)
    assert 0 < decided.sum() < 200
    np.testing.assert_array_equal(decided, observed.draft_tokens < longest)


def test_beliefs_cover_the_simplex_evenly() -> None:
    beliefs = pomdp_policy.simplex(4)
    assert len(np.unique(beliefs, axis=0)) == len(beliefs) == 15
    np.testing.assert_allclose(beliefs.sum(1), 1)
    assert {tuple(corner) for corner in np.eye(3)} <= {tuple(belief) for belief in beliefs}


def test_half_of_all_solutions_are_no_longer_than_the_median() -> None:
    transition = replace(solved_pomdp().model.transition, hazard=np.array([0.0, 0.4, 0.3, 1.0]))
    assert pomdp_policy.median_length(transition) == 3  # 1, 0.6, 0.42 go on


def test_pomdp_policy_has_a_row_a_kappa_and_ends_with_the_last_step() -> None:
    figure = pomdp_policy.draw(solved_pomdp(), "arith")
    panels = figure.axes[:9]
    assert [axes.get_title() for axes in panels[:3]] == [
        title for title in (axes.get_title() for axes in panels) if title
    ]
    assert panels[0].get_title() == "step 1, not the last"
    assert panels[2].get_title().endswith(", the last")
    kappas = [text.get_text() for axes in panels for text in axes.texts if text.get_text().startswith("kappa")]
    assert kappas == ["kappa 0.1", "kappa 1", "kappa 5"]
    corners = [text.get_text().strip() for text in panels[0].texts]
    assert corners[:3] == ["S0", "S1", "S2"]
    assert list(figure.axes[9].get_yticks()) == [0, 3, 9]


def test_learning_curves_mark_the_snapshot_that_was_kept() -> None:
    agg, seq = learning_curves.draw(learning_table(), "arith").axes
    assert [axes.get_title() for axes in (agg, seq)] == ["TRIM-Agg,\nper kappa", "TRIM-Seq"]
    assert [text.get_text() for text in agg.texts] == ["0.1", "0.2"]  # kappas
    assert not seq.texts
    curves = [line for line in seq.get_lines() if len(line.get_xdata()) > 1]
    dots = [line for line in seq.get_lines() if len(line.get_xdata()) == 1]
    np.testing.assert_allclose([line.get_ydata() for line in curves], [[-0.5, 0.3, 0.2], [-0.5, 0.4, 0.2]])
    np.testing.assert_allclose(curves[0].get_xdata(), [0, 1, 2])  # thousands
    assert [(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots] == [(1, 0.3), (1, 0.4)]
    low, high = seq.get_ylim()
    assert -0.5 < low < 0.2  # what an untrained policy is worth is left out
    assert 0.4 < high < 0.5 < agg.get_ylim()[1]  # each panel has its own scale


def test_learning_of_a_run_is_read_with_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "trim-seq" / "arith" / "conditioned.2"
    folder.mkdir(parents=True)
    write_json({"router": "trim-seq"}, folder / "policy.json")
    (folder / "learning.csv").write_text("kappa,timesteps,dev_return\n,0,-0.5\n,100,0.25\n")
    run = learning_curves.read_run(folder)
    assert run[["router", "variant", "run"]].drop_duplicates().to_numpy().tolist() == [["trim-seq", "conditioned", 2]]
    assert run["kappa"].isna().all()
    assert run["dev_return"].tolist() == [-0.5, 0.25]


def test_the_lowest_score_before_is_of_the_weak_models_own_solution() -> None:
    drafts = decision_map.with_lowest_before(scored_rollouts())
    assert set(drafts["behaviour"]) == {"weak-only"}
    lowest = {name: part["lowest_before"].tolist() for name, part in drafts.groupby("problem_id")}
    np.testing.assert_array_equal(lowest["a"], [np.nan, 0.9, 0.2, 0.2])
    np.testing.assert_array_equal(lowest["b"], [np.nan, 0.5, 0.5])


@pytest.mark.parametrize("position", [1, 3])
def test_a_decision_map_asks_the_policy(position: int) -> None:
    scores, tokens = np.array([0.1, 0.5, 0.7]), np.array([1.0, 4.0, 9.0])
    found = decision_map.longest_regenerated(linear_policy(0.1), position, scores, tokens)
    expected = [[sum(s + m / 2 + 0.1 * t < 1 for t in tokens) for s in scores] for m in scores]
    assert found.tolist() == expected
    assert len({count for row in found.tolist() for count in row}) > 1


def test_decision_map_has_a_row_a_kappa_and_a_column_a_step() -> None:
    policies = [linear_policy(kappa) for kappa in (0.01, 0.1)]
    figure = decision_map.draw(policies, scored_rollouts(), "arith")
    *panels, bar = figure.axes
    assert [axes.get_title() for axes in panels if axes.get_title()] == ["step 2", "step 3", "step 4"]
    assert [axes.get_ylabel().split("\n")[0] for axes in panels if axes.get_ylabel()] == ["kappa 0.01", "kappa 0.1"]
    labels = [label.get_text() for label in bar.get_yticklabels()]
    assert labels == ["none", "4", "6", "8"]  # short, usual and long drafts
    _, dots = panels[0].collections
    np.testing.assert_allclose(np.sort(dots.get_offsets(), axis=0), [[0.2, 0.5], [0.8, 0.9]])
