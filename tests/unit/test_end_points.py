"""Answers that are right by luck, told apart from solutions that are."""

import pandas as pd
import pytest

from trim.config.experiment import Bootstrap
from trim.evaluation.end_points import COLUMNS, end_points


def test_an_answer_that_is_right_behind_a_wrong_step_is_lucky() -> None:
    solutions = [
        # problem, replicate, labels of the steps, answer
        ("p1", 0, [True, True], True),
        ("p1", 1, [True, False], True),  # lucky
        ("p2", 0, [True, True], False),  # cut before its answer
        ("p2", 1, [False, True], False),
    ]
    rows = [
        {"problem_id": problem, "replicate": replicate, "valid": valid, "correct": correct}
        for problem, replicate, steps, correct in solutions
        for valid in steps
    ]
    steps = pd.DataFrame(rows).assign(dataset="arith", behaviour="weak-only")
    strong = steps.assign(behaviour="strong-only", valid=True, correct=True)
    table = end_points(pd.concat([steps, strong]), Bootstrap(resamples=200), "0/arith").set_index("behaviour")
    assert ["behaviour", *table.columns] == [name for name in COLUMNS if name == "behaviour"] + [
        name for name in COLUMNS if name != "behaviour"
    ]
    weak = table.loc["weak-only"]
    assert weak[["accuracy", "accuracy_all_right", "lucky_share"]].tolist() == pytest.approx([0.5, 0.25, 0.5])
    assert (weak["n_problems"], weak["accuracy_lo"], weak["accuracy_hi"]) == (2, 0, 1)  # problems are drawn, not runs
    assert table.loc["strong-only", ["accuracy_all_right", "lucky_share"]].tolist() == [1, 0]
