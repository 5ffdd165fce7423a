"""What a POMDP promises, beside episodes that are known."""

import numpy as np
import pandas as pd
import pytest
from made_episodes import ends, made_episodes, right

from trim.config.experiment import Bootstrap
from trim.evaluation.misfit import COLUMNS, misfit
from trim.evaluation.study import studies

# TRIM-POMDP solves 20 of 40 problems with a call each, of ten tokens: a tenth of what the strong model takes.
ROUTERS = {
    ("arith", "trim-pomdp", "default", 1.7): (right(20), np.ones(40, int)),
    ("arith", "trim-pomdp", "default", 0.5): (right(36), np.full(40, 5)),
}
PROMISES = pd.DataFrame(
    [
        {"quantity": "weak-only accuracy", "modelled": 0.2},
        {"quantity": "strong-only accuracy", "modelled": 1.0},
        {"quantity": "strong-only tokens", "modelled": 90.0},
        {"quantity": "J", "kappa": 0.5, "cost": 0.005, "modelled": 0.6},
        {"quantity": "J", "kappa": 1.7, "cost": 0.017, "modelled": 0.4},
        {"quantity": "J", "kappa": 3.0, "cost": 0.030, "modelled": 0.3},  # no operating point
    ]
)


def test_the_model_is_held_against_episodes_of_its_policies() -> None:
    found = studies(made_episodes(ends() | ROUTERS), Bootstrap(resamples=200), 7)
    table = misfit({"arith": PROMISES, "arith-hard": PROMISES}, {"test": found}, "default", 0.95)
    assert list(table) == COLUMNS
    assert set(table["dataset"]) == {"arith"}  # the other one was not evaluated
    alone = table.set_index("quantity")
    assert alone.loc["weak-only accuracy", ["modelled", "measured"]].tolist() == [0.2, 0.25]
    assert alone.loc["weak-only accuracy", "difference"] == pytest.approx(-0.05)
    assert alone.loc["strong-only tokens", ["measured", "difference"]].tolist() == pytest.approx([100, -10])
    net = table[table["quantity"] == "J"].set_index("kappa")
    assert list(net.index) == [0.5, 1.7]
    assert net["measured"].tolist() == pytest.approx([0.9 - 0.005 * 50, 0.5 - 0.017 * 10])
    assert net["difference"].tolist() == pytest.approx([0.6 - 0.65, 0.4 - 0.33])
    assert net["strong_share"].tolist() == pytest.approx([0.5, 0.1])
    assert net["shown"].tolist() == [0, 1]  # the one nearest to a strong share of 10 %
