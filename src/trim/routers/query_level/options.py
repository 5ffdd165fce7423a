"""Run what query-level baselines choose from, and lay the episodes of their choices out as tables.

Nothing is generated at an operating point: a baseline picks among solutions that are there. What
differs is what it pays for the choice. Most pay for the solution they pick; cascades pay for the weak
answer and for its verification, by the PRM or by further samples, wherever they end; BEST-Route
pays for all samples that competed and for the PRM's look at them. Solutions are written in one go, and
the PRM reads each in one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trim.arrays import Floats
from trim.models.protocols import ModelPair
from trim.names import END_POINTS
from trim.problems.grading import Grader, Judge, judge
from trim.problems.problem import Problem
from trim.progress import Progress
from trim.rollout.engine import Episode, Run, solve_all
from trim.rollout.tables import OperatingPoint, episode_table
from trim.routers.controls import StrongOnly
from trim.routers.query_level.best_route import largest_set
from trim.routers.query_level.disk import Policy
from trim.routers.query_level.evidence import SUMMARIES, Evidence, choose, summarise
from trim.routers.query_level.registry import baseline
from trim.routers.threshold import Threshold

if TYPE_CHECKING:
    import pandas as pd

PRM_COSTS = ["prm_tokens", "prm_calls"]
SAMPLED = ["weak_calls", "weak_input_tokens"]
"""What further samples add to, beside the tokens that they discard."""

ORACLE_SHARES = tuple(round(0.1 * i, 1) for i in range(1, 11))

WEAK, STRONG = END_POINTS


def solve_whole(
    problems: Sequence[Problem],
    pair: ModelPair,
    replicates: int,
    samples: int,
    max_steps: int,
    grader: Grader,
    *,
    exact: bool,
    on_progress: Progress | None = None,
) -> pd.DataFrame:
    """Have both models solve every problem alone: as `episode_table`, with PRM scores and agreement beside.

    The strong model solves it `replicates` times, the weak one often enough to compare each of those with
    `samples` others. The PRM reads all weak solutions. `agreement` is the share of the samples that
    come to the answer of a weak solution; no answer agrees with nothing.
    """
    universes = max(replicates, samples + 1)
    points = {
        WEAK: OperatingPoint(WEAK, "default", 0.0, Threshold(0.0)),  # keeps all, but has the PRM read it
        STRONG: OperatingPoint(STRONG, "default", 1.0, StrongOnly()),
    }
    wishes = [
        (points[name], Run(problem, points[name].policy, replicate))
        for problem in problems
        for name, count in ((WEAK, universes), (STRONG, replicates))
        for replicate in range(count)
    ]
    episodes = solve_all([run for _, run in wishes], pair, max_steps, on_progress)
    table = episode_table(
        [(point, episode) for (point, _), episode in zip(wishes, episodes, strict=True)], grader, exact=exact
    )
    verdict = judge(grader, exact=exact)
    block = universes + replicates
    agreement: list[float] = []
    summaries: list[list[float]] = []
    for start in range(0, len(episodes), block):
        weak = episodes[start : start + universes]
        agreement += [_agreement(weak, r, samples, verdict) for r in range(replicates)]
        agreement += [np.nan] * (block - replicates)
        summaries += [summarise([kept.score for kept in episode.kept if kept.score is not None]) for episode in weak]
        summaries += [[np.nan] * len(SUMMARIES)] * replicates
    return table.assign(agreement=agreement, **dict(zip(SUMMARIES, np.transpose(summaries), strict=True)))


def _agreement(weak: Sequence[Episode], replicate: int, samples: int, verdict: Judge) -> float:
    answer, problem = weak[replicate].answer, weak[replicate].problem
    if answer is None:
        return 0.0
    others = (weak[(replicate + i) % len(weak)].answer for i in range(1, samples + 1))
    return float(np.mean([verdict(other, replace(problem, answer=answer))[1] for other in others]))


def gather_evidence(solved: pd.DataFrame, problems: Sequence[Problem], embeddings: Floats) -> Evidence:
    """Arrange what `solve_whole` returned by problem."""
    ids = [problem.id for problem in problems]
    weak, strong = (solved[solved["router"] == name] for name in END_POINTS)

    def grid(rows: pd.DataFrame, name: str) -> Floats:
        return np.asarray(rows.pivot(index="problem_id", columns="replicate", values=name).loc[ids])

    replicates = strong["replicate"].nunique()
    return Evidence(
        texts=[problem.text for problem in problems],
        embeddings=embeddings,
        weak_correct=grid(weak, "correct").astype(bool),
        strong_correct=grid(strong, "correct").astype(bool),
        scores=np.stack([grid(weak, name) for name in SUMMARIES], axis=2),
        agreement=grid(weak, "agreement")[:, :replicates],
        weak_tokens=grid(weak, "weak_tokens").astype(np.float64),
        weak_steps=grid(weak, "steps").astype(np.float64),
        strong_tokens=grid(strong, "strong_tokens").astype(np.float64),
    )


class Options:
    """What a router may choose from, row by row: the same problems and replicates in every table.

    Parameters
    ----------
    solved
        As `solve_whole` returns it.
    problems
        In which order rows stand, one for each replicate.
    samples
        How many further solutions verify an answer, or compete with it.
    """

    def __init__(self, solved: pd.DataFrame, problems: Sequence[Problem], samples: int) -> None:
        by_model = {name: rows.set_index(["problem_id", "replicate"]) for name, rows in solved.groupby("router")}
        self._weak, self._strong = in_one_go(by_model[WEAK]), by_model[STRONG]
        self._ids = [problem.id for problem in problems]
        self._samples = samples
        self._replicates = self._strong.index.get_level_values("replicate").nunique()
        self.strong = self._rows(self._strong, 0)

    def of(self, router: str) -> list[pd.DataFrame]:
        """Return what a router chooses from, in order of cost, with all that it pays in each case."""
        match baseline(router).choice:
            case "weak or strong":
                return [self.weak, self.strong]
            case "sampled cascade":
                return self._cascade(self.weak, [self._rows(self._weak, i) for i in range(1, self._samples + 1)])
            case "read cascade":
                return self._cascade(self._rows(self._weak, 0), [])
            case "best of n":
                largest = largest_set(self._samples)
                return [self.weak, *(self._best_of(size) for size in range(2, largest + 1)), self.strong]

    @property
    def weak(self) -> pd.DataFrame:
        """The weak solutions, unread by the PRM."""
        return self._rows(self._weak, 0).assign(**dict.fromkeys(PRM_COSTS, 0))

    def _rows(self, solutions: pd.DataFrame, shift: int) -> pd.DataFrame:
        """Return, for every problem and replicate, the solution that many replicates further on."""
        count = solutions.index.get_level_values("replicate").nunique()
        wanted = [(name, (r + shift) % count) for name in self._ids for r in range(self._replicates)]
        rows = solutions.loc[wanted].reset_index()
        return rows.assign(replicate=[r for _ in self._ids for r in range(self._replicates)])

    def _cascade(self, weak: pd.DataFrame, samples: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
        """Charge the weak answer and its verification, which were for nothing where the strong model answers."""
        tokens = sum((rows["weak_tokens"] for rows in samples), start=weak["weak_tokens"] * 0)
        totals = {name: sum((rows[name] for rows in samples), start=weak[name]) for name in SAMPLED}
        kept = weak.assign(discarded_tokens=tokens, **totals)
        discarded = kept["weak_tokens"] + tokens
        return [kept, self.strong.assign(discarded_tokens=discarded, **kept[[*SAMPLED, *PRM_COSTS]])]

    def _best_of(self, size: int) -> pd.DataFrame:
        """Return the weak solution that the PRM scores best; the others are discarded."""
        competing = [self._rows(self._weak, i) for i in range(size)]
        picked = pick_rows(competing, np.stack([rows["product"] for rows in competing]).argmax(axis=0))
        totals = {name: sum(rows[name] for rows in competing) for name in ("weak_tokens", *SAMPLED, *PRM_COSTS)}
        discarded = totals.pop("weak_tokens") - picked["weak_tokens"]
        return picked.assign(discarded_tokens=discarded, **totals)


def in_one_go(weak: pd.DataFrame) -> pd.DataFrame:
    """Charge weak solutions, which `solve_whole` had read step by step, as one generation and one call of the PRM.

    What is read for the first time is then all that is read.
    """
    return weak.assign(
        weak_input_tokens=weak["weak_input_tokens"] - weak["weak_cached_tokens"],
        prm_tokens=weak["prm_tokens"] - weak["prm_cached_tokens"],
        prm_calls=np.minimum(weak["prm_calls"], 1),
        **dict.fromkeys(("weak_cached_tokens", "prm_cached_tokens"), 0),
    )


def pick_rows(options: Sequence[pd.DataFrame], choice: np.ndarray) -> pd.DataFrame:
    """Take each row from the option that was chosen for it; choice has shape (rows,)."""
    import pandas as pd

    rows = len(choice)
    return pd.concat(options, ignore_index=True).iloc[choice * rows + np.arange(rows)].reset_index(drop=True)


def route_table(policies: Sequence[Policy], evidence: Evidence, options: Options) -> pd.DataFrame:
    """Lay the episodes of all operating points of baselines out as `episode_table` does."""
    import pandas as pd

    tables = []
    for policy in policies:
        doubts, choices = policy.fitted.doubts(evidence), options.of(policy.router)
        for threshold in policy.thresholds:
            picked = pick_rows(choices, choose(doubts, threshold).ravel())
            tables.append(_named(picked, policy.router, policy.variant, threshold))
    return pd.concat(tables, ignore_index=True)


def oracle_table(solved: pd.DataFrame) -> pd.DataFrame:
    """Return the region of the query-level oracle: only problems that the strong model alone gets right are sent to it.

    Parameters
    ----------
    solved
        Episodes of `weak-only` and `strong-only`, the same problems and replicates in both.

    Returns
    -------
    As `episode_table`. An operating point is the share of those problems that are sent; variant
    `cheapest-first` sends those first whose strong solution is shortest, `dearest-first` the longest.
    """
    import pandas as pd

    keys = ["problem_id", "replicate"]
    weak, strong = (solved[solved["router"] == name].sort_values(keys, ignore_index=True) for name in END_POINTS)
    gained = np.flatnonzero(strong["correct"].to_numpy(bool) & ~weak["correct"].to_numpy(bool))
    rising = gained[np.argsort(strong["strong_tokens"].to_numpy()[gained], kind="stable")]
    tables = []
    for variant, order in (("cheapest-first", rising), ("dearest-first", rising[::-1])):
        for share in ORACLE_SHARES:
            choice = np.zeros(len(weak), dtype=np.int64)
            choice[order[: round(share * len(order))]] = 1
            tables.append(_named(pick_rows([weak, strong], choice), "oracle-query", variant, share))
    return pd.concat(tables, ignore_index=True)


def _named(rows: pd.DataFrame, router: str, variant: str, setting: float) -> pd.DataFrame:
    rows = rows.drop(columns=["agreement", *SUMMARIES], errors="ignore")
    return rows.assign(router=router, variant=variant, operating_point=setting)
