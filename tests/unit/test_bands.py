"""Bands of PGR: the parts of a difference of delta IBC."""

import numpy as np
import pytest
from made_episodes import ends, made_episodes, right

from trim.config.experiment import Bootstrap
from trim.evaluation.bands import COLUMNS, NAMES, bands
from trim.evaluation.curves import METRICS, delta_ibc_by_band, read_envelope
from trim.evaluation.study import studies

# TRIM-Thr recovers all of the gap with 20 % of the calls, in a straight line; TRIM-POMDP a third of it with 5 %.
ROUTERS = {
    ("arith", "trim-thr", "default", 0.5): (right(40), np.full(40, 2)),
    ("arith", "trim-pomdp", "default", 1.0): (right(20), np.full(40, 0.5)),
    ("arith", "trim-pomdp", "default", 0.5): (right(40), np.full(40, 2)),
}


def test_the_parts_of_a_curve_add_up_to_its_delta_ibc() -> None:
    rng = np.random.default_rng(0)
    shares, accuracies = rng.random((2, 5, 4))
    weak, strong = np.full(5, 0.2), np.array([0.9, 0.8, 0.7, 0.6, 0.1])
    parts = delta_ibc_by_band(shares, accuracies, weak, strong)
    whole = read_envelope(shares, accuracies, weak, strong)["delta_ibc"]
    assert "delta_ibc" in METRICS
    np.testing.assert_allclose(parts.sum(axis=1), whole)  # both undefined where strong is worse


def test_a_lead_lies_in_the_bands_where_it_was_gained() -> None:
    table = bands(studies(made_episodes(ends() | ROUTERS), Bootstrap(resamples=200), 7), 0.95)
    assert list(table) == [*COLUMNS, "p_corrected"]
    assert table["band"].tolist() == list(NAMES)  # there is no hull, and nothing was learned
    rows = table.set_index("band")
    assert rows.loc["0-20%", "other_value"] == pytest.approx(0.2 * (1 / 0.2 - 1))
    assert rows.loc["0-20%", "value"] == pytest.approx(0.2 * (1 / 0.15 - 1))  # a third of the gap for 5 %
    assert rows["difference"].sum() == pytest.approx(rows["value"].sum() - rows["other_value"].sum())
    levels = np.arange(81, 101) / 100
    share = 0.05 + (levels - 1 / 3) * 0.15 / (2 / 3)
    assert rows.loc["80-100%", "difference"] == pytest.approx(np.sum(levels / share - 5) / 100)
    assert rows["difference"].idxmax() != "80-100%"
    assert (rows["p_corrected"] >= rows["p_value"]).all()
