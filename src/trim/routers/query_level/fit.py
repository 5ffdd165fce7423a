"""Fit the query-level baselines of a dataset, and choose their operating points on dev."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trim.arrays import Floats
from trim.layouts import SOLUTION_KEYS
from trim.models.vectors import StoredVectors, TextReader
from trim.names import END_POINTS
from trim.problems.problem import Problem
from trim.routers.query_level.disk import Policy, Space
from trim.routers.query_level.evidence import choose_thresholds
from trim.routers.query_level.registry import QueryTraining, fit_baselines

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

GENERATORS = (*END_POINTS, "mixed")
"""Behaviours in the rollouts that are Smoothie's three generators."""


def embed_solutions(rollouts: pd.DataFrame, problems: Sequence[Problem], reader: TextReader) -> Floats:
    """Return the embedded solutions of the training problems, standardised, shape (3, P, R, width).

    Of an encoder that stays frozen, they are kept with no more coordinates than their distances need.
    """
    solutions = rollouts.groupby(SOLUTION_KEYS)["text"].agg("".join)
    replicates = sorted(rollouts["replicate"].unique())
    texts = [solutions[name, problem.id, r] for name in GENERATORS for problem in problems for r in replicates]
    shape = (len(GENERATORS), len(problems), len(replicates), -1)

    def embedded(reader: TextReader) -> Floats:
        vectors = reader.embed(texts).astype(np.float64)
        return Space.of(vectors).standardise(vectors).reshape(shape)

    if isinstance(reader, StoredVectors):
        return reader.remember(texts, lambda encoder: turned(embedded(encoder))).reshape(shape)
    return embedded(reader)


def turned(solutions: Floats) -> Floats:
    """Turn the solutions of each problem into as many coordinates as there are of them: all distances stay.

    Parameters
    ----------
    solutions
        Shape (G, P, R, width); distances between problems are lost.

    Returns
    -------
    Shape (G, P, R, min(G R, width)).
    """
    generators, problems, replicates, width = solutions.shape
    columns = np.moveaxis(solutions, (1, 3), (0, 1)).reshape(problems, width, -1)
    triangles = np.asarray(np.linalg.qr(columns, mode="r")).swapaxes(1, 2)
    return np.moveaxis(triangles.reshape(problems, generators, replicates, -1), 0, 1)


def fit_policies(data: QueryTraining, points: int) -> list[Policy]:
    """Fit every baseline that the settings name, with at most so many operating points each."""
    policies = []
    for router, variant, fitted in fit_baselines(data):
        thresholds = choose_thresholds(fitted.doubts(data.dev), points)
        logger.info("%s (%s): %d operating points", router, variant, len(thresholds))
        policies.append(Policy(router, variant, fitted, thresholds))
    return policies
