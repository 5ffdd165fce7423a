"""Smoothie, local and at training time: quality without labels, from whose solutions lie apart (arXiv 2412.04692).

Three generators answer the training problems. If they err independently, the distances between
their embedded solutions give each one's mean squared error: half of d_ij + d_ik - d_jk. The third
generator is the mixture of weak and strong steps that the rollouts hold: it is there at no
cost, and stands between the two in accuracy. It is taken from another replicate than the pair, if there is
one, lest it share their drafts; what is left of the dependence (their habits) Smoothie cannot see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trim.arrays import Floats
from trim.routers.query_level.evidence import Evidence, every_replicate

SMALLEST_ERROR = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Smoothie:
    """Doubts the weak model by how much more error it has than the strong one on the nearest training problems.

    Attributes
    ----------
    embeddings
        Shape (training problems, width).
    distances
        Shape (training problems, 3); squared distances of solutions: weak to strong, weak to third, strong to third.
    neighbours
        Number of training problems asked.
    """

    embeddings: Floats
    distances: Floats
    neighbours: int

    def doubts(self, evidence: Evidence) -> Floats:
        """Ask the nearest training problems."""
        squares = (self.embeddings**2).sum(axis=1) - 2 * evidence.embeddings @ self.embeddings.T
        nearest = np.argsort(squares, axis=1, kind="stable")[:, : self.neighbours]
        to_strong, to_third, strong_to_third = np.moveaxis(self.distances[nearest].mean(axis=1), 1, 0)
        # Estimates from few problems may fall below zero.
        weak = np.maximum(to_strong + to_third - strong_to_third, SMALLEST_ERROR)
        strong = np.maximum(to_strong + strong_to_third - to_third, SMALLEST_ERROR)
        return every_replicate(np.log(weak / strong), evidence.replicates)


def fit_smoothie(train: Evidence, solutions: Floats, neighbours: int) -> Smoothie:
    """Measure the distances between the embedded solutions of the training problems.

    Parameters
    ----------
    solutions
        Shape (3, P, R, width); of the weak model, the strong model and their mixture.
    """
    weak, strong, third = solutions[0], solutions[1], np.roll(solutions[2], 1, axis=1)
    pairs = ((weak, strong), (weak, third), (strong, third))
    distances = [((a - b) ** 2).sum(axis=2).mean(axis=1) for a, b in pairs]
    return Smoothie(train.embeddings, np.stack(distances, axis=1), neighbours)
