"""A query-level baseline: long problems go to the strong model, or short ones if those are the harder ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trim.arrays import Floats
from trim.names import Look, Name
from trim.routers.query_level.evidence import Evidence, every_replicate
from trim.routers.query_level.registry import Baseline, QueryTraining

NAMES = (Name("by-length", "default", "query", Look("by length", 6, "d", ":")),)


@dataclass(frozen=True, slots=True)
class ByLength:
    """Doubts the weak model by the length of a problem.

    Attributes
    ----------
    sign
        1 where longer problems are harder, -1 where shorter ones are. What a baseline keeps are its fields.
    """

    sign: float

    def doubts(self, evidence: Evidence) -> Floats:
        """Return doubts about the weak model's answer, shape (P, R, 1); thresholds on them are chosen on dev."""
        return every_replicate(self.sign * _lengths(evidence), evidence.replicates)


def fit(data: QueryTraining) -> Mapping[str, ByLength]:
    """See on the training problems which ones the weak model fails; return what is fitted, by variant."""
    right = data.train.weak_correct.mean(axis=1)
    harder = np.cov(_lengths(data.train), right)[0, 1] <= 0
    return {"default": ByLength(1.0 if harder else -1.0)}


def _lengths(evidence: Evidence) -> Floats:
    return np.array([float(len(text)) for text in evidence.texts])


BASELINE = Baseline(ByLength, fit)
