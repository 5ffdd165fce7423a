"""PRM scores held against final answers, against definitions written out."""

import numpy as np
import pandas as pd
import pytest
from prm_measures import auc, expected_calibration_error

from trim.config.experiment import Bootstrap
from trim.evaluation import prm_quality
from trim.evaluation.bootstrap import bounds, resample_counts
from trim.evaluation.prm_outcomes import prm_outcomes, reliability, summaries

SETTINGS = Bootstrap(resamples=40)


def scored(problems: int, seed: int = 0, digits: int = 2) -> pd.DataFrame:
    """Steps of solutions of three behaviours; scores of right ones lie higher, and many are the same."""
    rng = np.random.default_rng(seed)
    rows = []
    for behaviour in ("weak-only", "strong-only", "mixed"):
        for problem in range(problems):
            correct = bool(rng.random() < 0.6)
            for position in range(int(rng.integers(1, 6))):
                score = round(min(1.0, rng.random() * (1.2 if correct else 0.9)), digits)
                row = {"behaviour": behaviour, "problem_id": f"p-{problem}", "replicate": 0, "position": position}
                rows.append({**row, "score": score, "correct": correct})
    return pd.DataFrame(rows).sample(frac=1, random_state=seed)  # in no order


def test_a_solution_is_summed_up_in_the_order_of_its_steps() -> None:
    rows = [("p", 1, 0.5, True), ("p", 0, 0.2, True), ("q", 0, 0.4, False), ("p", 2, 1.0, True)]
    steps = pd.DataFrame(rows, columns=["problem_id", "position", "score", "correct"])
    table = summaries(steps.assign(behaviour="weak-only", replicate=0)).set_index("problem_id")
    assert table.loc["p", ["minimum", "product", "last"]].tolist() == pytest.approx([0.2, 0.1, 1.0])
    assert table.loc["p", "mean"] == pytest.approx(1.7 / 3)
    assert table.loc["q", ["minimum", "mean", "product", "last"]].tolist() == [0.4] * 4
    assert table["correct"].tolist() == [True, False]


@pytest.mark.parametrize("digits", [1, 6])  # with many ties, and without
def test_every_resample_is_measured_as_if_its_problems_were_there_that_often(digits: int) -> None:
    steps = scored(30, digits=digits)
    ids = sorted(steps["problem_id"].unique())
    counts = resample_counts(30, 120, "seed")  # more than are computed at once
    problems = steps["problem_id"].map({name: i for i, name in enumerate(ids)}).to_numpy()
    scores, right = steps["score"].to_numpy(), steps["correct"].to_numpy()
    areas, errors = (
        measure(scores, right, problems, counts) for measure in (prm_quality.auc, prm_quality.calibration_error)
    )
    assert areas.shape == errors.shape == (121,)
    assert areas[0] == pytest.approx(auc(scores, right))
    assert errors[0] == pytest.approx(expected_calibration_error(scores, right))
    for i in (1, 60, 120):
        rows = np.repeat(np.arange(len(steps)), counts[i, problems].astype(int))
        assert areas[i] == pytest.approx(auc(scores[rows], right[rows]))
        assert errors[i] == pytest.approx(expected_calibration_error(scores[rows], right[rows]))


def test_where_all_answers_are_alike_there_is_no_area_but_an_error() -> None:
    steps = scored(6).assign(correct=True)
    table = prm_outcomes(steps, SETTINGS, "seed").set_index(["behaviour", "measure"])["value"]
    assert table[:, "AUC of the step score"].isna().all()
    assert table["all", "share of right solutions"] == 1
    assert table["all", "ECE of the step score"] == pytest.approx(1 - steps["score"].mean())


def test_the_measures_of_a_prm_are_those_of_its_solutions() -> None:
    steps = scored(25)
    table = prm_outcomes(steps, SETTINGS, "seed")
    assert list(table["behaviour"].unique()) == ["all", "mixed", "strong-only", "weak-only"]
    assert set(table["problems"]) == {25}
    weak, weak_steps = summaries(steps).query("behaviour == 'weak-only'"), steps.query("behaviour == 'weak-only'")
    found = table[table["behaviour"] == "weak-only"].set_index("measure")
    for name in ("minimum", "mean", "product", "last"):
        row = found.loc[f"AUC of the {name} score"]
        assert row["value"] == pytest.approx(auc(weak[name], weak["correct"]))
        assert row["value_lo"] < row["value"] < row["value_hi"]
        assert row["count"] == 25
    expected = {
        "AUC of the step score": auc(weak_steps["score"], weak_steps["correct"]),
        "ECE of the step score": expected_calibration_error(weak_steps["score"], weak_steps["correct"]),
        "ECE of the last score": expected_calibration_error(weak["last"], weak["correct"]),
        "mean step score": weak_steps["score"].mean(),
        "share of steps in right solutions": weak_steps["correct"].mean(),
        "mean last score": weak["last"].mean(),
        "share of right solutions": weak["correct"].mean(),
    }
    assert found.loc[list(expected), "value"].tolist() == pytest.approx(list(expected.values()))
    assert found.loc["mean step score", "count"] == len(weak_steps)
    together = table[(table["behaviour"] == "all") & (table["measure"] == "AUC of the step score")]
    assert together["value"].item() == pytest.approx(auc(steps["score"], steps["correct"]))


def test_intervals_are_over_problems_and_hang_on_the_seed_alone() -> None:
    steps = scored(25)
    table = prm_outcomes(steps, SETTINGS, "seed")
    pd.testing.assert_frame_equal(prm_outcomes(steps.iloc[::-1], SETTINGS, "seed"), table)
    assert not prm_outcomes(steps, SETTINGS, "other")["value_lo"].equals(table["value_lo"])
    row = table[(table["behaviour"] == "mixed") & (table["measure"] == "share of right solutions")].iloc[0]
    right = summaries(steps).query("behaviour == 'mixed'").sort_values("problem_id")["correct"].to_numpy(float)
    counts = resample_counts(25, 40, "seed")
    expected = bounds(counts @ right / counts.sum(axis=1), SETTINGS.level)
    assert tuple(row[["value", "value_lo", "value_hi"]]) == pytest.approx(tuple(expected))


def test_reliability_counts_every_step_and_solution_once() -> None:
    steps = scored(25)
    table = reliability(steps)
    totals = table.groupby(["behaviour", "scored"])["count"].sum()
    assert totals["all", "step"] == len(steps)
    assert totals["all", "last"] == 75
    assert totals["mixed", "last"] == 25
    last = table[(table["behaviour"] == "all") & (table["scored"] == "last")]
    assert np.average(last["right"], weights=last["count"]) == pytest.approx(summaries(steps)["correct"].mean())
