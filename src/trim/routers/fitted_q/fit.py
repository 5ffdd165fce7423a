"""Fit fitted Q: policy iteration at many kappas side by side, on trees that hold both futures of every prefix.

For given policies, what keeping and regenerating bring is known at every node of a tree (`Futures.worth`); a ridge
regression on what a router may see of the node foretells the difference, and where it is positive the next policy
regenerates. Nothing is sampled and nothing bootstrapped: it is the regression of Longstaff and Schwartz (2001), for all
depths in one. Policies decide on problems to which they were not fitted, so that none profits from futures that it saw.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trim.arrays import Booleans, Floats, Integers
from trim.errors import InputError
from trim.rollout.tables import OperatingPoint
from trim.rollout.trees import UNKNOWN
from trim.routers.fitted_q.disk import FITTED_AT, Gains, load_gains, save_gains
from trim.routers.fitted_q.features import Basis, describe
from trim.routers.fitted_q.induction import Futures
from trim.routers.kappas import choose_kappas, tokens_per_solution
from trim.routers.router import TrainingData

logger = logging.getLogger(__name__)

PENALTIES = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
"""Weights of the squares, heaviest first; policies that decide on other problems say which."""


@dataclass(frozen=True, slots=True)
class FittedQ:
    """The fitted gains, and the kappas of the sweep."""

    gains: Gains
    kappas: Sequence[float]
    looks: Mapping[str, float]

    def points(self) -> list[OperatingPoint]:
        """Return one operating point a kappa."""
        return [OperatingPoint("fitted-q", "default", kappa, self.gains.policy(kappa)) for kappa in self.kappas]

    def save(self, folder: Path, origin: Mapping[str, Any]) -> None:
        """Write the regression, and which kappas make up the sweep."""
        save_gains(folder, self.gains, self.kappas, {**self.looks, "provenance": dict(origin)})


def fit(router: str, variant: str, data: TrainingData, seed: int) -> FittedQ:
    """Fit gains at all kappas, and choose the kappas of the sweep on dev."""
    gains, looks = fit_gains(data, seed)
    logger.info("worth of policies on problems that they were not fitted to, by penalty: %s", looks)
    candidates = data.settings.kappa.candidates()
    return FittedQ(gains, choose_kappas(gains.policy, candidates, data.dev, data.settings.operating_points), looks)


def load(router: str, folder: Path) -> list[OperatingPoint]:
    """Return the operating points of what `FittedQ.save` wrote."""
    return FittedQ(*load_gains(folder), {}).points()


def fit_gains(data: TrainingData, seed: int) -> tuple[Gains, dict[str, float]]:
    """Fit what regenerating gains over keeping, at kappas even in their logarithm.

    Returns
    -------
    The gains; and by penalty the mean worth, over kappas, of policies on problems that they were not fitted to.

    Raises
    ------
    InputError
        If nowhere both actions are explored.
    """
    settings, rng = data.settings.fitted_q, np.random.default_rng(seed)
    kappas = np.array(data.settings.kappa.spread(FITTED_AT))
    prices = kappas / tokens_per_solution(data.trees)
    futures = Futures.of(data.trees, rng)
    described, weights = describe(futures.observed), futures.reached()
    keep_all = np.zeros((len(weights), len(prices)), dtype=bool)
    both = np.isfinite(futures.worth(keep_all, prices)[0]).all(axis=(1, 2))
    known = both & np.isfinite(described).all(axis=1)
    if not known.any():
        raise InputError(
            "fitted-q: in no explored tree it is known what both keeping and regenerating a draft lead to; raise "
            "routers.tree_budget or routers.largest_tree, or leave the router out by routers.fitted_q.variants"
        )
    basis = Basis.draw(described[known], weights[known], settings.hinges, rng)
    fold = rng.permutation(int(futures.problem.max()) + 1)[futures.problem] % settings.folds
    ridge = Ridge(basis.apply(described), np.where(known, weights, 0.0), fold, settings.folds)
    by_penalty, policies = {}, keep_all
    for penalty in PENALTIES:  # each starts from the policies of the one before
        policies, target = iterate(futures, ridge, prices, policies, penalty, settings.rounds)
        worth = np.nanmean(futures.worth(policies, prices)[1][futures.parent == UNKNOWN])
        by_penalty[penalty] = float(worth), ridge.fit(target, penalty)
    best = max(by_penalty, key=lambda penalty: by_penalty[penalty][0])
    held_out = {f"held_out_{penalty:g}": worth for penalty, (worth, _) in by_penalty.items()}
    return Gains(basis, kappas, by_penalty[best][1]), held_out


def iterate(
    futures: Futures, ridge: Ridge, prices: Floats, policies: Booleans, penalty: float, rounds: int
) -> tuple[Booleans, Floats]:
    """Improve policies, each by the regression of what it brings; return the last, and the gains under the one before.

    Both of shape (n, K).
    """
    for _ in range(rounds):
        ahead, _ = futures.worth(policies, prices)
        gain = ahead[:, 1] - ahead[:, 0]
        policies = ridge.foretell(gain, penalty) > 0
    return policies, gain


class Ridge:
    """Ridge regressions on the same rows, fitted to all folds but one to foretell that one.

    Parameters
    ----------
    rows
        Shape (n, M); the first column is one, and is not shrunk.
    weights
        Shape (n,); rows of weight 0 are foretold but not fitted to.
    fold
        Shape (n,); the fold of each row.
    folds
        Number of folds.
    """

    def __init__(self, rows: Floats, weights: Floats, fold: Integers, folds: int) -> None:
        self._rows, self._shape = rows, rows.shape[1]
        self._members = [np.flatnonzero(fold == i) for i in range(folds)]
        self._fitted = [members[weights[members] > 0] for members in self._members]
        self._weighed = [(rows[at] * weights[at, None] / weights.sum()).T for at in self._fitted]
        self._moments = [part @ rows[at] for part, at in zip(self._weighed, self._fitted, strict=True)]

    def fit(self, target: Floats, penalty: float) -> Floats:
        """Return the coefficients of all folds together, shape (M, K), for targets (n, K)."""
        return self._solve(sum(self._moments), sum(self._products(target)), penalty)

    def foretell(self, target: Floats, penalty: float) -> Floats:
        """Return for each row what was fitted without its fold, shape (n, K)."""
        products, found = self._products(target), np.empty_like(target)
        for i, members in enumerate(self._members):
            others = [j for j in range(len(self._members)) if j != i]
            moments, product = sum(self._moments[j] for j in others), sum(products[j] for j in others)
            found[members] = self._rows[members] @ self._solve(moments, product, penalty)
        return found

    def _products(self, target: Floats) -> list[Floats]:
        return [part @ target[at] for part, at in zip(self._weighed, self._fitted, strict=True)]

    def _solve(self, moments: Any, product: Any, penalty: float) -> Floats:
        shrunk = np.full(self._shape, penalty)
        shrunk[0] = 1e-9  # where a fold holds everything, nothing is left to fit
        return np.linalg.solve(moments + np.diag(shrunk), product)
