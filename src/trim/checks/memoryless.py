"""Policies on TRIM-Agg's features, exactly: what the best of them is worth in the POMDP, and which it is.

The features are the draft's score, the lowest score kept so far, the token count and the position. Given a
policy, the pair (is the prefix right?, bin of the lowest score) is a Markov chain: its occupancy runs forward,
values run backward. Given both, the best decisions at one position follow for all features at once, so that
passes over the positions climb to a policy that no change at any one position improves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trim.arrays import Booleans, Floats, Integers
from trim.rollout.history import Observed
from trim.routers.pomdp.model import PomdpModel

Table = Booleans


@dataclass(frozen=True, slots=True)
class Worth:
    """What a policy earns in expectation: net reward, accuracy, tokens by the strong model per episode."""

    net_reward: float
    accuracy: float
    strong_tokens: float


class MemorylessPolicies:
    """All policies that are tables: what to regenerate, by position, lowest bin, symbol and token count.

    In the alphabet of single scores the lowest score is kept by the table's second axis; in that of pairs the
    symbol holds it, as the released model has it, and that axis has length 1.

    Attributes
    ----------
    shape
        Of the tables, (S, J, K, C).
    """

    def __init__(self, model: PomdpModel) -> None:
        observation, transition = model.observation, model.transition
        self.model = model
        symbols, bins = len(observation.draft), 1 if observation.joint else len(observation.edges) - 1
        lowest = np.arange(bins)
        strong = lowest if len(observation.strong) > 1 else lowest[-1:]  # a score that tells nothing counts as 1
        self._after_keep = np.minimum(lowest[:, None], np.arange(symbols))
        self._after_strong = np.minimum(lowest[:, None], strong)
        self._tokens, self._weights = transition.tokens, transition.token_weights
        self._steps = [model.joint_probabilities(accuracy) for accuracy in transition.weak_accuracy]
        self.shape = (model.max_steps, bins, symbols, len(transition.tokens))

    def threshold(self, bins: int) -> Table:
        """Return the policy that regenerates drafts whose scores lie in the lowest bins."""
        score = np.arange(self.shape[2]) % (len(self.model.observation.edges) - 1)
        return np.broadcast_to((score < bins)[:, None], self.shape)

    def tabulate(self, decide: Callable[[Integers, Integers, Floats], Table]) -> Table:
        """Write a rule on (position, symbol, token count) as a table."""
        steps, _, symbols, counts = self.shape
        position, symbol, count = (axis.ravel() for axis in np.indices((steps, symbols, counts)))
        chosen = decide(position, symbol, self._tokens[count])
        return np.broadcast_to(chosen.reshape(steps, 1, symbols, counts), self.shape)

    def tabulate_router(self, decide: Callable[[Observed], Table]) -> Table:
        """Write the `decide` of a router that looks at TRIM-Agg's features alone as a table, in single scores."""
        position, lowest, symbol, count = (axis.ravel() for axis in np.indices(self.shape))
        centres, past = self.model.observation.centres, np.arange(self.shape[0]) < position[:, None]
        scores = np.where(past, centres[lowest, None], centres[symbol, None])
        tokens = np.broadcast_to(self._tokens[count, None], scores.shape).astype(np.int64)
        no = np.zeros(scores.shape, dtype=bool)
        return decide(Observed(scores, scores, tokens, no, position, no[:, 0])).reshape(self.shape)

    def evaluate(self, table: Table, cost: float) -> Worth:
        """Return what a policy is worth, exactly."""
        correct = tokens = 0.0
        for step, occupancy in enumerate(self._occupancies(table)):
            kept, renewed = self._flow(step, occupancy, table[step])
            correct += self.model.transition.hazard[step] * (kept[1].sum() + renewed[1].sum())
            mass = occupancy.T @ self._steps[step][0].sum(-1).T  # of lowest bin and symbol
            tokens += np.sum(mass[..., None] * table[step] * self._weights * self._tokens)
        return Worth(float(self.model.reward * correct - cost * tokens), float(correct), float(tokens))

    def improve(self, table: Table, cost: float) -> Table:
        """Pass over the positions once, from the last, and make the best decisions at each."""
        improved = np.zeros(self.shape, dtype=bool)
        occupancies = self._occupancies(table)
        after = np.zeros((2, self.shape[1]))
        for step in reversed(range(self.shape[0])):
            keep, regenerate = self._steps[step]
            hazard = self.model.transition.hazard[step]
            ends = hazard * np.array([0.0, self.model.reward])[:, None, None]
            kept = np.einsum("kza,ajk->zjk", keep, ends + (1 - hazard) * after[:, self._after_keep])
            renewed = np.einsum(
                "koza,ajo->zjk", regenerate, ends + (1 - hazard) * after[:, self._after_strong], optimize=True
            )
            paid = cost * keep.sum(-1).T[:, None, :, None] * self._tokens
            gain = (renewed - kept)[..., None] - paid
            improved[step] = np.einsum("zj,zjkc->jkc", occupancies[step], gain) > 0
            after = kept.sum(-1) + (gain * improved[step] * self._weights).sum((-1, -2))
        return improved

    def best(self, cost: float) -> tuple[Worth, Table]:
        """Climb from every threshold policy, and return the best policy found."""
        found = []
        for bins in range(len(self.model.observation.edges)):
            table = self.threshold(bins)
            worth = self.evaluate(table, cost)
            while True:
                better = self.improve(table, cost)
                gained = self.evaluate(better, cost)
                if gained.net_reward <= worth.net_reward + 1e-9 * self.model.reward:
                    break
                table, worth = better, gained
            found.append((worth, table))
        return max(found, key=lambda pair: pair[0].net_reward)

    def _occupancies(self, table: Table) -> Floats:
        """Return P(an episode gets here with a wrong or right prefix and this lowest bin), shape (S, 2, J)."""
        occupancies = np.zeros((self.shape[0], 2, self.shape[1]))
        occupancies[0, 1, -1] = 1.0  # right, and nothing lower than 1 seen
        for step in range(self.shape[0] - 1):
            kept, renewed = self._flow(step, occupancies[step], table[step])
            for z in (0, 1):
                for flow, place in ((kept, self._after_keep), (renewed, self._after_strong)):
                    occupancies[step + 1, z] += np.bincount(place.ravel(), flow[z].ravel(), self.shape[1])
            occupancies[step + 1] *= 1 - self.model.transition.hazard[step]
        return occupancies

    def _flow(self, step: int, occupancy: Floats, table: Table) -> tuple[Floats, Floats]:
        """Return the probabilities of (right after, lowest bin before, symbol): of kept drafts, of new steps."""
        keep, regenerate = self._steps[step]
        share = table @ self._weights
        return (
            np.einsum("zj,jk,kza->ajk", occupancy, 1 - share, keep),
            np.einsum("zj,jk,koza->ajo", occupancy, share, regenerate, optimize=True),
        )
