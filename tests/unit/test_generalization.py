"""Routers away from home, by hand."""

import numpy as np
import pandas as pd
import pytest
from made_episodes import PROBLEMS, ends, made_episodes, right

from trim.config.experiment import Bootstrap
from trim.evaluation.generalization import chosen_on_dev, generalization, latex_generalization, transfer
from trim.evaluation.study import studies

SETTINGS = Bootstrap(resamples=200)
# Fitted on either dataset, evaluated on both; a router without a counterpart, and one that was not fitted.
ROUTERS = {
    ("arith", "trim-thr", "default", 0.5): (right(25), 2 * right(40)),
    ("arith", "trim-thr", "default", 0.9): (right(35), 5 * right(40)),
    ("hard", "trim-thr", "default", 0.7): (right(20), 2 * right(40)),
    ("arith", "trim-agg", "default", 1.0): (right(30), right(40)),
    ("untrained", "random-step", "default", 0.2): (right(12), 2 * right(40)),
}
EPISODES = pd.concat([made_episodes(ends() | ROUTERS, dataset=name) for name in ("arith", "hard")])
STUDIES = studies(EPISODES, SETTINGS, 7)


def test_the_matrix_has_a_row_a_router_and_dataset() -> None:
    table = generalization(STUDIES, 0.95)
    keys = table[["router", "trained_on", "dataset"]]
    assert keys.values.tolist() == [
        ["trim-agg", "arith", "arith"],
        ["trim-agg", "arith", "hard"],
        ["trim-thr", "arith", "arith"],
        ["trim-thr", "arith", "hard"],
        ["trim-thr", "hard", "arith"],
        ["trim-thr", "hard", "hard"],
    ]
    compared = table["difference"].notna()
    assert keys[compared].values.tolist() == [["trim-thr", "arith", "hard"], ["trim-thr", "hard", "arith"]]
    by_home = table.set_index(["router", "trained_on", "dataset"])
    foreign = by_home.loc["trim-thr", "arith", "hard"]
    native = by_home.loc["trim-thr", "hard", "hard"]
    assert foreign["home_delta_ibc"] == native["delta_ibc"]
    assert foreign["difference"] == pytest.approx(foreign["delta_ibc"] - native["delta_ibc"])
    assert foreign["difference_lo"] <= foreign["difference"] <= foreign["difference_hi"]
    assert foreign["p_corrected"] == foreign["p_value"]  # a family of one on each dataset
    assert table.loc[~compared, ["home_delta_ibc", "p_value", "p_corrected"]].isna().all(axis=None)


def test_an_operating_point_is_chosen_on_dev_and_read_elsewhere() -> None:
    dev = made_episodes(ends() | {key: value for key, value in ROUTERS.items() if key[0] == "arith"})
    assert chosen_on_dev(dev, 0.2) == {("arith", "trim-thr", "default", 0): (0.5, pytest.approx(0.2))}  # agg: 10 %
    table = transfer(STUDIES, dev, 0.95)
    assert table["dataset"].tolist() == ["arith", "hard"]
    assert table["operating_point"].tolist() == [0.5, 0.5]
    np.testing.assert_allclose(table["strong_share"], 0.2)
    np.testing.assert_allclose(table["accuracy"], 25 / PROBLEMS)
    np.testing.assert_allclose(table["pgr"], 15 / 30)
    assert (table["pgr_lo"] < table["pgr"]).all()
    assert (table["pgr"] < table["pgr_hi"]).all()


def test_latex_is_the_matrix() -> None:
    table = generalization(STUDIES, 0.95)
    text = latex_generalization(table)
    assert r"Router & Fitted on & arith & hard \\" in text
    assert text.count(r"\\") == 1 + 3
    value = table.set_index(["router", "trained_on", "dataset"]).loc[("trim-agg", "arith", "arith"), "delta_ibc"]
    assert rf"trim-agg & arith & ${value:.2f}$ {{\scriptsize [" in text
