"""Measures of a PRM without resamples: each row is a problem of its own."""

from typing import Any

import numpy as np

from trim.evaluation import prm_quality


def auc(scores: Any, right: Any) -> float:
    return float(prm_quality.auc(scores, right, np.arange(len(scores)), np.ones((1, len(scores))))[0])


def expected_calibration_error(scores: Any, right: Any) -> float:
    return float(prm_quality.calibration_error(scores, right, np.arange(len(scores)), np.ones((1, len(scores))))[0])
