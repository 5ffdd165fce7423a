"""Measures of a PRM, against definitions written out."""

import random

import numpy as np
import pandas as pd
import pytest
from prm_measures import auc, expected_calibration_error

from trim.config.experiment import Bootstrap
from trim.evaluation.bootstrap import resample_counts
from trim.evaluation.prm_quality import auc as resampled_auc
from trim.evaluation.prm_quality import calibration, calibration_error, prm_quality, score_histogram, up_to_first_error
from trim.layouts import SOLUTION_KEYS as KEYS

SETTINGS = Bootstrap(resamples=100)


def scored(count: int, digits: int, seed: int = 0) -> tuple[list[float], list[bool]]:
    rng = random.Random(seed)
    scores = [round(rng.random(), digits) for _ in range(count)]
    return scores, [rng.random() < score for score in scores]


def naive_auc(scores: list[float], labels: list[bool]) -> float:
    right = [s for s, label in zip(scores, labels, strict=True) if label]
    wrong = [s for s, label in zip(scores, labels, strict=True) if not label]
    won = sum((r > w) + 0.5 * (r == w) for r in right for w in wrong)
    return won / (len(right) * len(wrong))


@pytest.mark.parametrize("digits", [1, 6])  # with many ties, and without
def test_auc_is_the_share_of_pairs_in_order(digits: int) -> None:
    scores, labels = scored(300, digits)
    assert auc(scores, labels) == pytest.approx(naive_auc(scores, labels))
    assert auc([1 - s for s in scores], labels) == pytest.approx(1 - naive_auc(scores, labels))


def test_auc_needs_both_kinds() -> None:
    assert auc([0.1, 0.9], [False, True]) == 1
    assert auc([0.1, 0.9], [True, False]) == 0
    assert np.isnan(auc([0.1, 0.9], [True, True]))
    assert np.isnan(auc([], []))


def test_resamples_count_the_steps_of_a_problem_as_often_as_it_was_drawn() -> None:
    scores, labels = scored(60, 1)
    places, counts = np.repeat(np.arange(12), 5), resample_counts(12, 3, 0)
    measures = {resampled_auc: naive_auc, calibration_error: lambda s, r: naive_ece(s, r, 15)}
    for measure, naive in measures.items():
        found = measure(scores, labels, places, counts)
        for value, drawn in zip(found, counts, strict=True):
            again = np.repeat(np.arange(60), drawn[places].astype(int))
            assert value == pytest.approx(naive([scores[i] for i in again], [labels[i] for i in again]))


def naive_ece(scores: list[float], labels: list[bool], bins: int) -> float:
    total = 0.0
    for b in range(bins):
        inside = [i for i, s in enumerate(scores) if b / bins <= s < (b + 1) / bins or (s == 1 and b == bins - 1)]
        if inside:
            mean = sum(scores[i] for i in inside) / len(inside)
            right = sum(labels[i] for i in inside) / len(inside)
            total += abs(mean - right) * len(inside) / len(scores)
    return total


def test_calibration_error_is_the_weighted_distance_of_bins() -> None:
    scores, labels = scored(500, 6)
    overconfident = [s**0.3 for s in scores]
    for values in (scores, overconfident, [*scores[:-2], 0.0, 1.0]):
        assert expected_calibration_error(values, labels) == pytest.approx(naive_ece(values, labels, 15))
    assert expected_calibration_error(overconfident, labels) > 2 * expected_calibration_error(scores, labels)


def test_a_reliability_table_by_hand() -> None:
    table = calibration([0.0, 0.02, 0.61, 0.95, 1.0], [False, True, True, True, False])
    assert table["bin"].tolist() == [0, 9, 14]  # empty bins are left out
    assert table["score"].tolist() == pytest.approx([0.01, 0.61, 0.975])
    assert table["right"].tolist() == [0.5, 1.0, 0.5]
    assert table["count"].tolist() == [2, 1, 2]


def solutions() -> pd.DataFrame:
    """Three solutions; the second goes on after its error, the third is another behaviour's."""
    rows = [
        # behaviour, problem, replicate, position, valid, score, operation, correct
        ("weak-only", "p1", 0, 0, True, 0.9, "+d", True),
        ("weak-only", "p1", 0, 1, True, 0.8, "*d", True),
        ("weak-only", "p2", 0, 0, True, 0.7, "+d", False),
        ("weak-only", "p2", 0, 1, False, 0.3, "*d", False),
        ("weak-only", "p2", 0, 2, True, 0.2, "+d", False),
        ("weak-only", "p2", 0, 3, False, 0.6, "answer", False),
        ("mixed", "p2", 0, 0, False, 0.1, "+d", False),
        ("mixed", "p2", 0, 1, True, 0.5, "*d", False),
    ]
    columns = [*KEYS, "position", "valid", "score", "operation", "correct"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(author=np.where(frame["behaviour"] == "mixed", "strong", "weak"))


def test_steps_up_to_the_first_error() -> None:
    kept = up_to_first_error(solutions(), KEYS)
    assert kept.index.tolist() == [0, 1, 2, 3, 6]
    assert up_to_first_error(solutions().assign(valid=True), KEYS).index.tolist() == list(range(8))
    # Solutions whose rows stand between each other's are told apart too.
    woven = solutions().sort_values(["position"], kind="stable")
    assert sorted(up_to_first_error(woven, KEYS).index) == [0, 1, 2, 3, 6]


def test_the_measures_of_a_prm_by_hand() -> None:
    table = prm_quality(solutions(), KEYS, SETTINGS, "0/arith").set_index("measure")
    value, count = table["value"], table["count"]
    scores, labels = solutions()["score"].tolist(), solutions()["valid"].tolist()
    assert value["step AUC"] == pytest.approx(naive_auc(scores, labels))
    assert value["step AUC up to the first error"] == 1  # 0.9 0.8 0.7 against 0.3 0.1
    assert value["ECE"] == pytest.approx(naive_ece(scores, labels, 15))
    assert value["ECE up to the first error"] == pytest.approx((0.1 + 0.2 + 0.3 + 0.3 + 0.1) / 5)
    assert value["step AUC up to the first error, weak steps"] == 1  # 0.9 0.8 0.7 against 0.3
    # +d is right in 2 of 2, *d in 1 of 2: of the three pairs one is a tie.
    assert value["step AUC up to the first error, weak steps, operation alone"] == pytest.approx(2.5 / 3)
    assert value["step AUC within +d"] == 1
    assert value["step AUC within *d"] == 1
    assert "step AUC within answer" not in value  # there the first error is behind
    assert value["AUC of the minimum score, weak-only"] == 1  # 0.8 against 0.2
    assert count.to_dict() == {
        "step AUC up to the first error, weak steps": 4,
        "step AUC up to the first error, weak steps, operation alone": 4,
        "step AUC up to the first error, operation and author": 5,
        "step AUC": 8,
        "step AUC up to the first error": 5,
        "ECE": 8,
        "ECE up to the first error": 5,
        "step AUC within *d": 2,
        "step AUC within +d": 3,
        "AUC of the minimum score, weak-only": 2,
    }


def test_a_histogram_counts_every_step_once() -> None:
    table = score_histogram(solutions())
    assert table["low"].tolist() == pytest.approx([place / 40 for place in range(40)])
    quarters = table[["right", "wrong"]].groupby(table.index // 10).sum()
    assert quarters["right"].tolist() == [1, 0, 2, 2]
    assert quarters["wrong"].tolist() == [1, 1, 1, 0]
    edges = pd.DataFrame({"score": [0.0, 1.0], "valid": [True, False]})
    assert score_histogram(edges)[["right", "wrong"]].sum().tolist() == [1, 1]
