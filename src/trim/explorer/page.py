"""What the explorer shows of each dataset, and the page that holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.config.routers import Routers
from trim.explorer.choice import KINDS, choose, disagreements, outcome_kinds
from trim.explorer.html import fill
from trim.explorer.traces import Traces, trace
from trim.figures.style import STATE_LOOKS
from trim.names import END_POINTS, leading_variants, look_of
from trim.problems.arithmetic import step_is_valid
from trim.problems.problem import Problem
from trim.rollout.tables import OperatingPoint
from trim.rollout.trees import ENDS, KEEP, REGENERATE, RolloutTrees
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.registry import step_router

if TYPE_CHECKING:
    import pandas as pd

SHARES = (0.1, 0.2, 0.4)
"""Strong shares for which each router's nearest operating point is shown."""

PROBLEMS = 60
"""Problems shown, over all datasets."""


@dataclass(frozen=True, slots=True)
class ShownRouter:
    """A router at its operating points nearest to SHARES, with share and accuracy of each on the whole test split."""

    points: Sequence[OperatingPoint]
    shares: Sequence[float]
    accuracies: Sequence[float]

    def describe(self) -> dict[str, Any]:
        """Say what the page says of it."""
        router, variant = self.points[0].router, self.points[0].variant
        settings = [float(f"{point.setting:.4g}") for point in self.points]
        return {
            "id": router,
            "label": look_of(router, variant).label,
            "setting": "threshold" if router == "trim-thr" else "kappa",
            "points": [
                {"setting": setting, "share": _rounded(share), "accuracy": _rounded(accuracy)}
                for setting, share, accuracy in zip(settings, self.shares, self.accuracies, strict=True)
            ],
        }


def shown_routers(curves: pd.DataFrame, fitted: Mapping[str, Sequence[Path]]) -> list[ShownRouter]:
    """Return each fitted TRIM router in its leading variant.

    Parameters
    ----------
    curves
        Rows of `curves.csv` of one dataset, and of routers fitted on one.
    fitted
        Folders of what was fitted, by router.
    """
    shown = []
    for router, variant in leading_variants(curves[curves["router"].isin(list(fitted))]):
        rows = curves[(curves["router"] == router) & (curves["variant"] == variant)]
        rows = rows[rows["seed"] == rows["seed"].min()]
        rows = rows.iloc[[(rows["strong_share"] - share).abs().argmin() for share in SHARES]]
        run = variant, rows["seed"].iloc[0]
        loaded = [point for folder in fitted[router] for point in step_router(router, Routers()).load(folder)]
        points = [point for point in loaded if (point.variant, point.seed) == run]
        settings = np.array([point.setting for point in points])
        nearest = [points[np.abs(settings - setting).argmin()] for setting in rows["operating_point"]]
        shown.append(ShownRouter(nearest, rows["strong_share"].tolist(), rows["accuracy"].tolist()))
    return shown


def explore_dataset(
    trees: RolloutTrees,
    curves: pd.DataFrame,
    fitted: Mapping[str, Sequence[Path]],
    trained_on: str,
    count: int,
    *,
    labelled: bool,
) -> dict[str, Any]:
    """Lay out what the page shows of one dataset: its routers, and problems with all states that routers reach.

    Parameters
    ----------
    curves
        Rows of `curves.csv` of the dataset.
    fitted
        Folders of what was fitted on `trained_on`, by router.
    count
        Most problems.
    labelled
        Whether steps have exact labels.
    """
    routers = shown_routers(curves[curves["trained_on"] == trained_on], fitted)
    policies: list[Any] = [point.policy for router in routers for point in router.points]
    filters = [policy for policy in policies if isinstance(policy, PomdpPolicy)]
    believe = filters[0].believe if filters else None  # the belief is the same at all operating points
    first = np.arange(0, len(trees.roots()), trees.replicates)
    traces = trace(trees, first, policies)
    kinds = outcome_kinds(traces.correct[:, :-2], *traces.correct[:, -2:].T)
    decisions = traces.decisions.reshape(len(traces.node), -1, len(SHARES))[traces.drafted]
    chosen = choose(kinds, disagreements(decisions, traces.owner[traces.drafted], len(first)), count)
    traces = trace(trees, first[chosen], policies, believe)
    alone = curves[curves["router"].isin(END_POINTS)].set_index("router")["accuracy"]
    weak, strong = (_rounded(alone[name]) for name in END_POINTS)
    return {
        "name": trees.problems[0].dataset,
        "trained_on": trained_on,
        "labelled": labelled,
        "available": len(first),
        "counts": {kind: kinds.count(kind) for kind in KINDS},
        "weak_accuracy": weak,
        "strong_accuracy": strong,
        "routers": [router.describe() for router in routers],
        "problems": [_problem(trees, traces, i, kinds[index], labelled=labelled) for i, index in enumerate(chosen)],
    }


def render(datasets: Sequence[Mapping[str, Any]], experiment: str) -> str:
    """Return the page: one HTML text that asks for nothing else."""
    data = {
        "experiment": experiment,
        "shares": SHARES,
        "kinds": {kind: described._asdict() for kind, described in KINDS.items()},
        "states": [state.label for state in STATE_LOOKS],
        "datasets": datasets,
    }
    return fill("template.html", data)


def _problem(trees: RolloutTrees, traces: Traces, index: int, kind: str, *, labelled: bool) -> dict[str, Any]:
    problem = trees.problem(int(traces.tree[index]))
    states = np.flatnonzero(traces.owner == index)
    number = {int(state): i for i, state in enumerate(states)}
    return {
        "id": problem.id,
        "text": problem.text,
        "answer": problem.answer,
        "kind": kind,
        "states": [
            {
                "steps": _steps(trees, problem, int(traces.node[state]), labelled=labelled),
                "belief": None if np.isnan(traces.belief[state]).any() else [_rounded(p) for p in traces.belief[state]],
                "decisions": "".join("01"[int(d)] for d in traces.decisions[state]) if traces.drafted[state] else None,
                "next": [number.get(child, child) for child in traces.child[state].tolist()],
            }
            for state in states
        ],
    }


def _steps(trees: RolloutTrees, problem: Problem, node: int, *, labelled: bool) -> list[dict[str, Any] | None]:
    """Return the draft and the strong model's step at a node; None for one that nobody asked for."""
    record = trees.nodes[node]
    steps: list[dict[str, Any] | None] = []
    for action in (KEEP, REGENERATE):
        if record["tokens"][action] < 0:
            steps.append(None)
            continue
        text, score = trees.text(node, action), float(record["score"][action])
        step: dict[str, Any] = {"text": text, "tokens": int(record["tokens"][action])}
        if not np.isnan(score):
            step["score"] = _rounded(score)
        if labelled:
            step["valid"] = step_is_valid(problem.text, trees.prefix(node).steps, text)
        if record["child"][action] == ENDS:
            step |= {"answer": trees.answer(node, action), "correct": bool(record["correct"][action])}
        steps.append(step)
    return steps


def _rounded(value: Any) -> float:
    return round(float(value), 4)
