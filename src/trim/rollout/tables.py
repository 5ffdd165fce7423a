"""Run operating points and lay the episodes out as tables: a row an episode, or a row a step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.layouts import SOLUTION_KEYS
from trim.models.protocols import SEPARATOR, ModelPair, Prefix
from trim.problems.arithmetic import operation_at, step_labels
from trim.problems.grading import Grader, judge
from trim.problems.problem import Problem
from trim.problems.solutions import Solution
from trim.progress import Progress
from trim.rollout.costs import COSTS
from trim.rollout.engine import Episode, Run, solve_all
from trim.rollout.history import Router
from trim.rollout.trees import RolloutTrees
from trim.rollout.vectorised import Rollout, roll_out_all

if TYPE_CHECKING:
    import pandas as pd

    from trim.models.protocols import StepScorer


AUTHORS = ("weak", "strong")


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One setting of a router.

    Attributes
    ----------
    router, variant
        Identifiers, as in `trim.names`.
    setting
        The threshold, probability or kappa that tells the points of a sweep apart.
    policy
        What decides.
    seed
        Tells training runs of one variant apart.
    """

    router: str
    variant: str
    setting: float
    policy: Router
    seed: int = 0


def run_points(
    points: Sequence[OperatingPoint],
    problems: Sequence[Problem],
    pair: ModelPair,
    replicates: int,
    max_steps: int,
    on_progress: Progress | None = None,
) -> list[tuple[OperatingPoint, Episode]]:
    """Solve every problem at every operating point; all points of a problem run together and share its prefixes."""
    wishes = [
        (point, Run(problem, point.policy, replicate))
        for problem in problems
        for replicate in range(replicates)
        for point in points
    ]
    episodes = solve_all([run for _, run in wishes], pair, max_steps, on_progress)
    return [(point, episode) for (point, _), episode in zip(wishes, episodes, strict=True)]


def episode_table(results: Sequence[tuple[OperatingPoint, Episode]], grader: Grader, *, exact: bool) -> pd.DataFrame:
    """Lay episodes out as a row each: who and what, verdicts, all costs, and who wrote which step.

    Parameters
    ----------
    exact
        As of `judge`.
    """
    verdict = judge(grader, exact=exact)
    episodes = [episode for _, episode in results]
    verdicts = [verdict(episode.answer, episode.problem) for episode in episodes]
    costs = [asdict(episode.costs) for episode in episodes]
    return _layout(
        [point for point, _ in results],
        [(episode.problem, episode.replicate) for episode in episodes],
        correct=[correct for _, correct in verdicts],
        correct_strict=[strict for strict, _ in verdicts],
        answer=[episode.answer for episode in episodes],
        steps=[len(episode.kept) for episode in episodes],
        authors=["".join("ws"[kept.by_strong] for kept in episode.kept) for episode in episodes],
        **{name: [spent[name] for spent in costs] for name in COSTS},
    )


def roll_out_points(
    points: Sequence[OperatingPoint], trees: RolloutTrees, on_progress: Progress | None = None
) -> pd.DataFrame:
    """Solve the problems of rollout trees at every operating point; lay the episodes out as `episode_table` does."""
    import pandas as pd

    return pd.concat(roll_out_tables(points, trees, on_progress), ignore_index=True)


def roll_out_tables(
    points: Sequence[OperatingPoint], trees: RolloutTrees, on_progress: Progress | None = None
) -> list[pd.DataFrame]:
    """Do as `roll_out_points`, with a table for each operating point."""
    rollouts = roll_out_all(trees, [point.policy for point in points], on_progress)
    return [rollout_table(trees, rollout, point) for point, rollout in zip(points, rollouts, strict=True)]


def known_trees(problems: Sequence[Problem], table: pd.DataFrame) -> RolloutTrees:
    """Return rollout trees that grow no more: of those problems that were explored."""
    explored = set(table["problem_id"])

    def judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
        raise AssertionError("no new solutions here")

    shown = [problem for problem in problems if problem.id in explored]
    steps = int(table["position"].max()) + 1
    return RolloutTrees(shown, int(table["replicate"].max()) + 1, steps, judge).load(table)


def rollout_table(trees: RolloutTrees, rollout: Rollout, point: OperatingPoint) -> pd.DataFrame:
    """Lay the episodes of one operating point out as `episode_table` does."""
    indices, steps = range(len(rollout.last)), rollout.steps.tolist()
    letters = np.where(rollout.strong, "s", "w")
    ends = zip(rollout.last.tolist(), rollout.action.tolist(), strict=True)
    return _layout(
        [point] * len(indices),
        [(trees.problem(tree), trees.replicate(tree)) for tree in indices],
        correct=trees.nodes["correct"][rollout.last, rollout.action],
        correct_strict=trees.nodes["correct_strict"][rollout.last, rollout.action],
        answer=[trees.answer(node, action) for node, action in ends],
        steps=rollout.steps,
        authors=["".join(row[:count]) for row, count in zip(letters, steps, strict=True)],
        **{name: getattr(rollout, name) for name in COSTS},
    )


def _layout(
    points: Sequence[OperatingPoint], solved: Sequence[tuple[Problem, int]], **measured: Sequence[Any] | np.ndarray
) -> pd.DataFrame:
    """Return the one layout of episodes: which point, which problem and replicate, and what was measured."""
    import pandas as pd

    return pd.DataFrame(
        {
            "dataset": [problem.dataset for problem, _ in solved],
            "router": [point.router for point in points],
            "variant": [point.variant for point in points],
            "seed": [point.seed for point in points],
            "operating_point": [point.setting for point in points],
            "problem_id": [problem.id for problem, _ in solved],
            "replicate": [replicate for _, replicate in solved],
            **measured,
        }
    )


def step_table(results: Sequence[tuple[OperatingPoint, Episode]], grader: Grader, *, labelled: bool) -> pd.DataFrame:
    """Lay episodes out as a row a kept step; with exact labels where the problems are arithmetic."""
    import pandas as pd

    rows = []
    verdict = judge(grader, exact=labelled)
    for point, episode in results:
        problem = episode.problem
        texts = [kept.step.text for kept in episode.kept]
        labels: Sequence[Any] = step_labels(problem.text, texts) if labelled else [None] * len(texts)
        _, correct = verdict(episode.answer, problem)
        for position, (kept, label) in enumerate(zip(episode.kept, labels, strict=True)):
            rows.append(
                {
                    "dataset": problem.dataset,
                    "behaviour": point.router,
                    "problem_id": problem.id,
                    "replicate": episode.replicate,
                    "position": position,
                    "author": AUTHORS[kept.by_strong],
                    "text": kept.step.text,
                    "tokens": kept.step.tokens,
                    "finish": str(kept.step.finish),
                    "operation": operation_at(problem.text, position) if labelled else None,
                    "valid": label,
                    "correct": correct,
                }
            )
    return pd.DataFrame(rows)


def solution_table(solutions: Iterable[Solution], problems: Sequence[Problem]) -> pd.DataFrame:
    """Lay labelled solutions of others out like our own rollouts; those of other problems are left out.

    What nobody knows is empty: tokens, finish and operation, and the labels of steps after the first error.
    """
    import pandas as pd

    known = {problem.fingerprint: problem for problem in problems}
    seen = Counter[tuple[str, str]]()
    rows = []
    for solution in solutions:
        problem = known.get(solution.problem)
        if problem is None:
            continue
        replicate = seen[solution.problem, solution.author]
        seen[solution.problem, solution.author] += 1
        last, error = len(solution.steps) - 1, solution.first_error
        for position, text in enumerate(solution.steps):
            rows.append(
                {
                    "dataset": problem.dataset,
                    "behaviour": solution.author,
                    "problem_id": problem.id,
                    "replicate": replicate,
                    "position": position,
                    "author": solution.author,
                    "text": text if position == last else text + SEPARATOR,
                    "tokens": None,
                    "finish": None,
                    "operation": None,
                    "valid": None if error is not None and position > error else position != error,
                    "correct": solution.correct,
                }
            )
    return pd.DataFrame(rows)


async def score_steps(problem_text: str, steps: Sequence[str], prm: StepScorer) -> list[float]:
    """Score every step of a solution given the text before it."""
    prefix, scores = Prefix.of(problem_text), []
    for step in steps:
        scores.append((await prm.score(prefix, step)).value)
        prefix = prefix.extend(step)
    return scores


def score_table(
    rollouts: pd.DataFrame, texts: dict[str, str], prm: StepScorer, on_progress: Progress | None = None
) -> pd.DataFrame:
    """Return the rollouts with a column `score`: the PRM score of every step.

    Parameters
    ----------
    texts
        Problem texts by id.
    """
    import asyncio

    groups = [
        (texts[str(group["problem_id"].iloc[0])], group["text"].tolist())
        for _, group in rollouts.groupby(SOLUTION_KEYS, sort=False)
    ]

    async def score_all() -> list[list[float]]:
        done = 0

        async def score_one(text: str, steps: list[str]) -> list[float]:
            nonlocal done
            scores = await score_steps(text, steps, prm)
            done += 1
            if on_progress is not None:
                on_progress(done, len(groups))
            return scores

        return await asyncio.gather(*(score_one(text, steps) for text, steps in groups))

    scores = [score for solution in asyncio.run(score_all()) for score in solution]
    return rollouts.assign(score=scores)
