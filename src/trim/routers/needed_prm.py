"""How good a PRM would have to be: TRIM-Thr on scores that know, up to noise, how the continuations of a draft end.

All stay in closed trees, the PRM in use too, so that they are compared on the same terms and no model is asked. The
scores have seen the futures on which they are then judged: what they gain lies above what such a PRM would gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trim.arrays import Floats
from trim.models.noise import disturbed
from trim.rollout.tables import OperatingPoint, roll_out_points
from trim.rollout.trees import KEEP, RolloutTrees
from trim.routers.controls import ALONE
from trim.routers.oracles import LookUp, endings
from trim.routers.threshold import quantile_thresholds, weak_only_nodes

if TYPE_CHECKING:
    import pandas as pd

DEVIATIONS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Standard deviations of the noise on the logit of a score."""


@dataclass(frozen=True, slots=True)
class Routed:
    """What thresholds on some scores do.

    Attributes
    ----------
    episodes
        Of both models alone and of TRIM-Thr, as of `roll_out_points`.
    lowest
        A row a solution of the weak model alone: `problem_id`, `correct`, and the lowest score of its steps, `minimum`.
    """

    episodes: pd.DataFrame
    lowest: pd.DataFrame


def foreseeing_scores(trees: RolloutTrees, deviation: float) -> Floats:
    """Return, of every draft, the share of its explored continuations that end right, disturbed on the logit.

    One right and one wrong ending are added to those explored: few of them say little. The noise depends on the text
    alone, so that it grows with the deviation and changes in nothing else.

    Returns
    -------
    Shape (nodes,); NaN where nothing was drafted.
    """
    right, ways = (counts[:, KEEP] for counts in endings(trees))
    drafted = trees.nodes["tokens"][:, KEEP] >= 0
    scores = np.where(drafted, (right + 1) / (ways + 2), np.nan)
    if deviation:
        for node in np.flatnonzero(drafted).tolist():
            digest = trees.prefix(node).extend(trees.text(node, KEEP)).digest
            scores[node] = disturbed(float(scores[node]), deviation, digest)
    return scores


def route_by_scores(trees: RolloutTrees, scores: Floats, operating_points: int) -> Routed:
    """Solve the problems of closed trees with TRIM-Thr on scores of the drafts, shape (nodes,).

    Its thresholds are quantiles of the scores of the weak model's own solutions of the same problems.
    """
    import pandas as pd

    path = weak_only_nodes(trees)
    thresholds = quantile_thresholds(scores[path].tolist(), operating_points)
    points = [OperatingPoint("trim-thr", "default", value, LookUp(scores < value)) for value in thresholds]
    episodes = roll_out_points([*ALONE, *points], trees).assign(trained_on="untrained")
    minimum = np.ones(len(trees.roots()))
    np.minimum.at(minimum, trees.nodes["root"][path], scores[path])
    weak = episodes[episodes["router"] == ALONE[0].router]
    lowest = pd.DataFrame({"problem_id": weak["problem_id"], "correct": weak["correct"], "minimum": minimum})
    return Routed(episodes, lowest)
