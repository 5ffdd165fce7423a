"""Exact solution of the POMDP by backward induction, between certified bounds.

After every step the belief is one number, m = P(all kept steps are right). With V_s the best expected
reward before the draft of step s, and V_S = 0 after the last possible step,

    V_s(m) = h_s W(m; end) + (1 - h_s) W(m; V_{s+1})
    W(m; F) = E_c sum_k n_k max( F(m_k), sum_o P(o | k) F(m_ko) - cost c )

where h_s is the hazard, c the draft's token count, n_k the probability of its symbol k, m_k and m_ko the
belief after keeping it or after a new step with symbol o, and end(m) = reward m. V_s is convex, so the
chords between its values on a grid lie above it, and its supporting lines at the grid points below:
each line is the value of a fixed plan if the prefix is wrong and if it is right (an alpha vector).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from trim.arrays import Floats
from trim.errors import InputError
from trim.routers.pomdp.model import PomdpModel

GRID = 400
"""Intervals of the belief grid."""

CELLS_AT_ONCE = 1 << 17
"""Beliefs times symbols times costs of a backup: its arrays stay in the cache, where all would be read from memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Bounds on V_s(m) at every cost, in units of the reward.

    Attributes
    ----------
    costs
        Shape (L,); cost of a token.
    upper
        Shape (L, S + 1, N + 1); upper bounds at m = 0, 1/N, ..., 1; straight lines between them bound V too.
    lines
        Shape (L, S + 1, N + 1, 2); supporting lines, as their values at m = 0 and m = 1: lower bounds everywhere.
    gap
        Shape (L, S + 1); the largest distance between the bounds over all m.
    """

    costs: Floats
    upper: Floats
    lines: Floats
    gap: Floats

    @property
    def grid(self) -> Floats:
        """Beliefs at which the bounds were computed, shape (N + 1,)."""
        return np.linspace(0, 1, self.upper.shape[-1])

    @property
    def lower(self) -> Floats:
        """Lower bounds at the grid points, shape (L, S + 1, N + 1)."""
        return _heights(self.lines, self.grid)


def solve(model: PomdpModel, costs: Sequence[float] | Floats, grid: int = GRID) -> Solution:
    """Solve the model for several costs of a token at once.

    Parameters
    ----------
    costs
        Shape (L,); cost of a token, in units of the reward.
    grid
        Intervals of the belief grid; more of them shrink the gap at least in proportion.

    Raises
    ------
    InputError
        If a cost is negative or not finite.
    """
    costs = np.asarray(costs, dtype=float)
    if not np.all((costs >= 0) & np.isfinite(costs)):
        raise InputError(f"POMDP solver: costs must be finite and not negative, not {costs.tolist()}")
    beliefs = np.linspace(0, 1, grid + 1)
    steps, end = model.max_steps, np.array([0, model.reward])
    upper = np.zeros((steps + 1, grid + 1, len(costs)))
    lines = np.zeros((steps + 1, grid + 1, len(costs), 2))
    end_upper = np.broadcast_to(model.reward * beliefs[:, None], upper.shape[1:])
    end_lines = np.broadcast_to(end, lines.shape[1:])
    accuracy = None
    for step in reversed(range(steps)):
        if accuracy != model.transition.weak_accuracy[step]:
            accuracy = model.transition.weak_accuracy[step]
            backup = _Backup(model, accuracy, costs, beliefs)
            last_upper, last_lines = backup.upper(end_upper), backup.lines(end_lines)
        hazard = model.transition.hazard[step]
        upper[step] = hazard * last_upper
        lines[step] = hazard * last_lines
        if hazard < 1:
            upper[step] += (1 - hazard) * backup.upper(upper[step + 1])
            lines[step] += (1 - hazard) * backup.lines(lines[step + 1])
    upper, lines = np.moveaxis(upper, 2, 0), np.moveaxis(lines, 2, 0)
    return Solution(costs, upper, lines, _largest_gap(upper, lines, beliefs))


class _Backup:
    """W(m; F) at all grid points and costs, for F given by chords or by supporting lines."""

    def __init__(self, model: PomdpModel, accuracy: float, costs: Floats, grid: Floats) -> None:
        joint = model.joint_probabilities(accuracy)
        cells = len(grid) * len(joint[0]) * len(costs)
        parts = np.array_split(grid, min(len(grid), 1 + cells // CELLS_AT_ONCE))
        self._parts = [_BackupAt(model, joint, costs, beliefs, len(grid)) for beliefs in parts]

    def upper(self, values: Floats) -> Floats:
        """Map upper bounds (N + 1, L) of F to those of W."""
        return np.concatenate([part.upper(values) for part in self._parts])

    def lines(self, lines: Floats) -> Floats:
        """Map supporting lines (N + 1, L, 2) of F to those of W."""
        return np.concatenate([part.lines(lines) for part in self._parts])


class _BackupAt:
    """W(m; F) at some beliefs, for F given at `points` grid points.

    F is needed at the same beliefs for every cost and step, so that evaluating it is a sparse matrix.
    """

    def __init__(
        self, model: PomdpModel, joint: tuple[Floats, Floats], costs: Floats, beliefs: Floats, points: int
    ) -> None:
        keep, regenerate = joint
        prior = np.stack([1 - beliefs, beliefs], axis=1)
        self._beliefs, self._symbols = beliefs, len(keep)
        self._keep = _Evaluation(keep[:, None], prior, points)
        self._regenerate = _Evaluation(regenerate, prior, points)
        self._tokens = list(zip(model.transition.tokens, model.transition.token_weights, strict=True))
        self._paid = [np.tile(keep.sum(-1)[:, before], len(beliefs))[:, None] * costs for before in (0, 1)]

    def upper(self, values: Floats) -> Floats:
        """Map upper bounds (N + 1, L) of F to those of W, shape (beliefs, L)."""
        kept, renewed = self._keep.chords @ values, self._regenerate.chords @ values
        paid = self._mixed(self._paid)
        best = sum(weight * np.maximum(kept, renewed - count * paid) for count, weight in self._tokens)
        return self._summed(best)

    def lines(self, lines: Floats) -> Floats:
        """Map supporting lines (N + 1, L, 2) of F to those of W, shape (beliefs, L, 2)."""
        plans = np.concatenate([lines[..., 0], lines[..., 1]])
        kept, renewed = ([part @ plans for part in e.supports] for e in (self._keep, self._regenerate))
        gain, paid = self._mixed(renewed) - self._mixed(kept), self._mixed(self._paid)
        # The plan follows the draft's symbol and token count: weigh the counts at which it regenerates.
        chosen = [weight * (gain > count * paid) for count, weight in self._tokens]
        share, spent = sum(chosen), sum(c * count for c, (count, _) in zip(chosen, self._tokens, strict=True))
        parts = [k + share * (r - k) - spent * p for k, r, p in zip(kept, renewed, self._paid, strict=True)]
        return np.stack([self._summed(part) for part in parts], axis=-1)

    def _mixed(self, parts: list[Floats]) -> Floats:
        belief = np.repeat(self._beliefs, self._symbols)[:, None]
        return (1 - belief) * parts[0] + belief * parts[1]

    def _summed(self, values: Floats) -> Floats:
        total: Floats = values.reshape(len(self._beliefs), self._symbols, -1).sum(1)
        return total


class _Evaluation:
    """Matrices that give n F(m) after an action at B beliefs, summed over what is seen after it.

    Attributes
    ----------
    chords
        Shape (B K, N + 1); from upper bounds at the grid points.
    supports
        Two of shape (B K, 2 (N + 1)); from the lines' values at 0 and at 1, given that the prefix was
        wrong, and that it was right. The line is that of the grid point next to the belief.
    """

    def __init__(self, joint: Floats, prior: Floats, points: int) -> None:
        rows, later = len(prior) * joint.shape[0], joint.shape[1]
        mass = np.einsum("jz,koza->jkoa", prior, joint).reshape(-1, 2)
        total = mass.sum(1)
        place = np.divide(mass[:, 1], total, out=np.zeros_like(total), where=total > 0) * (points - 1)
        row = np.repeat(np.arange(rows), later)
        low = np.minimum(place.astype(int), points - 2)
        self.chords = csr_array(
            (
                np.concatenate([total * (low + 1 - place), total * (place - low)]),
                (np.tile(row, 2), np.concatenate([low, low + 1])),
            ),
            shape=(rows, points),
        )
        near = np.rint(place).astype(int)
        at = np.tile(row, 2), np.concatenate([near, near + points])
        self.supports = [
            csr_array(
                (np.tile(joint[:, :, z].reshape(-1, 2), (len(prior), 1)).T.ravel(), at),
                shape=(rows, 2 * points),
            )
            for z in (0, 1)
        ]


def _heights(lines: Floats, at: Floats) -> Floats:
    heights: Floats = (1 - at) * lines[..., 0] + at * lines[..., 1]
    return heights


def _largest_gap(upper: Floats, lines: Floats, beliefs: Floats) -> Floats:
    """Return the largest distance of chords and lines: at a grid point, or where two neighbours' lines cross."""
    start, stop = beliefs[:-1], beliefs[1:]
    one, other = lines[..., :-1, :], lines[..., 1:, :]
    ahead = _heights(one, start) - _heights(other, start)
    behind = _heights(other, stop) - _heights(one, stop)
    total = np.maximum(ahead + behind, np.finfo(float).tiny)
    crossing = np.clip(ahead / total, 0, 1)
    at = start + crossing * (stop - start)
    chord = (1 - crossing) * upper[..., :-1] + crossing * upper[..., 1:]
    inside = (chord - np.maximum(_heights(one, at), _heights(other, at))).max(-1)
    gap: Floats = np.maximum(inside, (upper - _heights(lines, beliefs)).max(-1))
    return gap
