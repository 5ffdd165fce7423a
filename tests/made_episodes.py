"""Episodes of made-up routers, for tests of the tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

Point = tuple[str, str, str, float]
"""Trained on, router, variant, operating point."""

PROBLEMS = 40
WEAK, STRONG = ("untrained", "weak-only", "default", 0.0), ("untrained", "strong-only", "default", 1.0)


def made_episodes(
    points: Mapping[Point, tuple[ArrayLike, ArrayLike]], dataset: str = "arith", seed: int = 0
) -> pd.DataFrame:
    """Lay out outcomes and strong calls, each (replicates, problems), as episodes; a strong call costs ten tokens."""
    parts = []
    for (trained_on, router, variant, setting), (correct, calls) in points.items():
        outcomes, counts = (np.atleast_2d(np.asarray(values)) for values in (correct, calls))
        replicate, problem = np.indices(outcomes.shape)
        head = {"dataset": dataset, "trained_on": trained_on, "router": router, "variant": variant}
        part = pd.DataFrame({"problem_id": problem.ravel(), "replicate": replicate.ravel()})
        part = part.assign(**head, seed=0 if router.endswith("only") else seed, operating_point=setting)
        part["problem_id"] = part["problem_id"].map("p{:03d}".format)
        parts.append(
            part.assign(
                correct=outcomes.ravel().astype(bool),
                strong_calls=counts.ravel(),
                strong_tokens=10 * counts.ravel(),
            )
        )
    return pd.concat(parts, ignore_index=True)


def right(count: int, problems: int = PROBLEMS) -> np.ndarray:
    """Outcomes that are right on the first problems and wrong on the rest."""
    return np.arange(problems) < count


def ends(problems: int = PROBLEMS) -> dict[Point, tuple[ArrayLike, ArrayLike]]:
    """A weak model that solves the first quarter of the problems, and a strong one that solves all in ten steps."""
    return {
        WEAK: (right(problems // 4, problems), np.zeros(problems, int)),
        STRONG: (right(problems, problems), np.full(problems, 10)),
    }
