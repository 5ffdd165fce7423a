"""Accuracy at a budget, and strong steps of a rescue, by hand."""

import numpy as np
import pandas as pd
from made_episodes import PROBLEMS, ends, made_episodes, right

from trim.config.experiment import Bootstrap
from trim.evaluation.budgets import BUDGETS, budgeted, interventions, latex_budgeted, latex_interventions
from trim.evaluation.study import studies

SETTINGS = Bootstrap(resamples=200)
# Of 40 problems the weak model solves 10. At a share of 10 % the router rescues 8: 5 with a call, 2 with two,
# 1 with 19.
CALLS = np.zeros(PROBLEMS, int)
CALLS[10:18] = [1, 1, 1, 1, 1, 2, 2, 19]
CALLS[0:6] = [2, 2, 2, 2, 2, 2]  # in vain, where weak was right anyway
THR = {("arith", "trim-thr", "default", 0.5): (right(18), CALLS)}
EPISODES = made_episodes(ends() | THR)
STUDIES = studies(EPISODES, SETTINGS, 7)


def test_budgets_by_hand() -> None:
    table = budgeted(STUDIES, 0.95)
    thr = table[table["router"] == "trim-thr"]
    assert thr["strong_share"].tolist() == list(BUDGETS)
    assert CALLS.sum() == PROBLEMS  # of 400 strong calls alone: a share of 10 %
    np.testing.assert_allclose(thr["accuracy"], 18 / 40)  # flat beyond the last point, nothing is extrapolated
    np.testing.assert_allclose(thr["pgr"], 8 / 30)
    mixing = table[table["router"] == "random-query"]
    np.testing.assert_allclose(mixing["pgr"], BUDGETS)
    assert (table["accuracy_lo"] < table["accuracy"]).all()
    assert (table["accuracy"] < table["accuracy_hi"]).all()


def test_interventions_by_hand() -> None:
    table = interventions(EPISODES, STUDIES, 0.95)
    assert set(table["wanted_share"]) == {0.1}  # no operating point is near 20 %
    assert set(table["router"]) == {"trim-thr"}
    assert table["strong_calls"].tolist() == ["1", "2", "3", ">3"]
    assert table["solved"].tolist() == [5, 2, 0, 1]
    np.testing.assert_allclose(table["share"], np.array([5, 2, 0, 1]) / 8)
    assert (table["share_lo"] <= table["share"]).all()
    assert (table["share"] <= table["share_hi"]).all()


def test_a_router_that_rescues_nothing_has_no_shares() -> None:
    idle = {("arith", "trim-thr", "default", 0.5): (right(10), np.full(PROBLEMS, 1))}
    episodes = made_episodes(ends() | idle)
    table = interventions(episodes, studies(episodes, SETTINGS, 7), 0.95)
    assert table["solved"].tolist() == [0, 0, 0, 0]
    assert table[["share", "share_lo", "share_hi"]].isna().all(axis=None)


def test_a_rescue_is_of_the_same_replicate() -> None:
    weak = np.stack([right(10), right(20)])
    twice = {key: (np.stack([c, c]), np.stack([n, n])) for key, (c, n) in (ends() | THR).items()}
    twice["untrained", "weak-only", "default", 0.0] = (weak, np.zeros((2, PROBLEMS), int))
    episodes = made_episodes(twice)
    table = interventions(episodes, studies(episodes, SETTINGS, 7), 0.95)
    assert table["solved"].tolist() == [5, 2, 0, 1]  # in the second replicate weak solves all that the router does


def test_latex_says_what_the_tables_say() -> None:
    other = made_episodes(ends() | THR, dataset="other")
    both = pd.concat([EPISODES, other])
    data = studies(both, SETTINGS, 7)
    at_budgets = latex_budgeted(budgeted(data, 0.95), "arith", "arith")
    assert r"Router & 10\% & 15\% & 20\% & 25\% & 30\%" in at_budgets
    assert r"trim-thr & $45.0$ {\scriptsize [" in at_budgets
    assert at_budgets.count(r"\\") == 1 + 2  # of the main dataset
    rescues = latex_interventions(interventions(both, data, 0.95), "arith", "arith")
    assert r"trim-thr & $10$ & $8$ & $62.5$ {\scriptsize [" in rescues
    assert rescues.count(r"\\") == 1 + 1
