"""What routers decide, and where their operating points lie."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trim.evaluation.sweeps import control_points, fit_hull, lay_thresholds, walked_points
from trim.files import write_json
from trim.models.protocols import FinishReason, Prefix, Step
from trim.problems.arithmetic import parse_program
from trim.problems.problem import Problem
from trim.rollout.engine import Action, Author, History, KeptStep, ModelPair, Run, solve_all
from trim.routers.controls import FirstErrorOracle, OneStepTakeover, RandomStep, StrongOnly, WeakOnly
from trim.routers.threshold import PerToken, Threshold, concave_hull, quantile_thresholds

PROBLEM = Problem("p", "arith", "5 a+1 b*3 c-2?", "16", "00000000")
RIGHT = parse_program(PROBLEM.text).steps()


def draft(text: str = "a:5+1=6\n\n", tokens: int = 10) -> Step:
    return Step(text, tuple(range(tokens)), 0, FinishReason.SEPARATOR)


def history(*steps: str, authors: str | None = None, replicate: int = 0) -> History:
    kept = []
    for text, author in zip(steps, authors or "w" * len(steps), strict=True):
        kept.append(KeptStep(draft(text), Author.WEAK if author == "w" else Author.STRONG, None, None, None))
    return History(PROBLEM, replicate, Prefix.of(PROBLEM.text, *steps), 30, kept)


def regenerates(router, score: float | None = None, step: Step | None = None, past: History | None = None) -> bool:
    return router.decide(past or history(), step or draft(), score) is Action.REGENERATE


def test_a_threshold_regenerates_below_it() -> None:
    assert [regenerates(Threshold(0.5), score) for score in (0.0, 0.4999, 0.5, 1.0)] == [True, True, False, False]
    assert not regenerates(Threshold(0.0), 0.0)
    assert regenerates(Threshold(np.nextafter(1, 2)), 1.0)


def test_per_token_weighs_doubt_with_length() -> None:
    router = PerToken(0.04)  # of ten tokens: doubt above 0.4
    assert PerToken(0.5).decide(history(), draft("", 0), 0.4) is Action.REGENERATE  # an empty draft divides nothing
    assert [regenerates(router, score) for score in (0.5, 0.59, 0.61, 1.0)] == [True, True, False, False]
    assert regenerates(router, 0.8, draft(tokens=4))
    assert not regenerates(router, 0.2, draft(tokens=20))


def test_a_takeover_asks_for_drafts_while_the_weak_model_writes() -> None:
    router = OneStepTakeover(0.5)
    assert router.wants_draft(history())
    assert router.wants_draft(history("a\n\n", "b\n\n"))
    assert not router.wants_draft(history("a\n\n", "b\n\n", authors="ws"))
    assert [regenerates(router, score) for score in (0.49, 0.5)] == [True, False]


def test_the_end_points() -> None:
    assert WeakOnly().wants_draft(history()) and not regenerates(WeakOnly())
    assert not StrongOnly().wants_draft(history())


def test_random_steps_are_drawn_by_prefix_and_replicate() -> None:
    pasts = [history(f"{i}\n\n", replicate=r) for i in range(400) for r in range(2)]
    draws = {p: [regenerates(RandomStep(p), past=past) for past in pasts] for p in (0.0, 0.2, 0.5, 1.0)}
    assert not any(draws[0.0])
    assert all(draws[1.0])
    assert sum(draws[0.2]) / 800 == pytest.approx(0.2, abs=0.05)
    assert sum(draws[0.5]) / 800 == pytest.approx(0.5, abs=0.06)
    assert all(high for low, high in zip(draws[0.2], draws[0.5], strict=True) if low)  # nested
    assert draws[0.5][::2] != draws[0.5][1::2]  # replicates differ
    assert draws[0.5] != [regenerates(RandomStep(0.5, "other"), past=past) for past in pasts]
    assert draws[0.5] == [regenerates(RandomStep(0.5), 0.9, draft("x", 3), past) for past in pasts]


@pytest.mark.parametrize(
    ("kept", "step", "expected"),
    [
        (RIGHT[:0], RIGHT[0], False),
        (RIGHT[:0], "a:5+1=7\n\n", True),
        (RIGHT[:2], RIGHT[2], False),
        (RIGHT[:2], "c:18-3=15\n\n", True),
        (RIGHT[:3], "\\boxed{16}", False),
        (RIGHT[:3], "\\boxed{17}", True),
        (["a:5+1=7\n\n"], "b:7*3=22\n\n", False),  # an error was kept: nothing helps any more
        (["a:5+1=7\n\n", "b:7*3=21\n\n"], "c:21-2=0\n\n", False),
    ],
)
def test_the_oracle_regenerates_the_first_error_alone(kept: list[str], step: str, expected: bool) -> None:
    assert regenerates(FirstErrorOracle(), step=draft(step), past=history(*kept)) is expected


# --- operating points -------------------------------------------------------------------


def test_thresholds_lie_at_squared_quantiles() -> None:
    values = np.linspace(0, 1, 1001).tolist()
    assert quantile_thresholds(values, 4) == pytest.approx([(i / 5) ** 2 for i in (1, 2, 3, 4)])
    assert quantile_thresholds(random.Random(1).sample(values, 1001), 4) == quantile_thresholds(values, 4)
    assert quantile_thresholds([0.5] * 30, 6) == [0.5]


def test_thresholds_are_laid_over_the_weak_models_drafts() -> None:
    rows = [("weak-only", s / 100, 10) for s in range(101)] + [("strong-only", 0.99, 1)] * 500
    laid = lay_thresholds(pd.DataFrame(rows, columns=["behaviour", "score", "tokens"]), 9)
    assert laid["default"] == pytest.approx([(i / 10) ** 2 for i in range(1, 10)])
    assert laid["per-token"] == pytest.approx([(1 - (i / 10) ** 2) / 10 for i in range(9, 0, -1)])
    # As many steps are regenerated by both, at the corresponding points.
    shares = [np.mean([regenerates(Threshold(k), s / 100) for s in range(101)]) for k in laid["default"]]
    others = [np.mean([regenerates(PerToken(k), s / 100) for s in range(101)]) for k in laid["per-token"]]
    assert others[::-1] == pytest.approx(shares, abs=0.011)


def test_the_hull_leaves_out_what_mixing_beats() -> None:
    #          kept  below  kept  dominated  kept  as good but dearer
    shares = [0.0, 0.10, 0.20, 0.30, 0.50, 0.60]
    values = [0.3, 0.35, 0.60, 0.55, 0.80, 0.80]
    assert concave_hull(shares, values) == [0, 2, 4]
    order = [3, 5, 0, 2, 4, 1]
    mixed = concave_hull([shares[i] for i in order], [values[i] for i in order])
    assert [order[i] for i in mixed] == [0, 2, 4]
    assert concave_hull([0.2, 0.2], [0.5, 0.6]) == [1]
    assert concave_hull([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]) == [0, 2]  # a straight line needs its ends


def test_the_hull_of_a_sweep_is_fitted_to_its_means() -> None:
    points = {0.1: (10, [0, 0, 1]), 0.2: (20, [0, 0, 1]), 0.3: (30, [1, 1, 1]), 0.4: (60, [1, 1, 0])}
    rows = [(k, tokens, c) for k, (tokens, correct) in points.items() for c in correct]
    assert fit_hull(pd.DataFrame(rows, columns=["operating_point", "strong_tokens", "correct"])) == [0.1, 0.3]


def test_every_router_has_its_operating_points(tmp_path: Path) -> None:
    thresholds = {"default": [0.2, 0.7], "hull": [0.7], "per-token": [0.01]}
    file = tmp_path / "thresholds.json"
    write_json({"thresholds": thresholds}, file)
    found = walked_points("trim-thr", [file])
    assert [(p.variant, p.setting, p.policy) for p in found] == [
        ("default", 0.2, Threshold(0.2)),
        ("default", 0.7, Threshold(0.7)),
        ("hull", 0.7, Threshold(0.7)),
        ("per-token", 0.01, PerToken(0.01)),
    ]
    (rsd,) = walked_points("rsd", [])
    assert (rsd.router, rsd.setting, rsd.policy) == ("rsd", 0.7, Threshold(0.7))
    random_points = control_points("random-step", [], [0.1, 0.4])
    assert [(p.setting, p.policy) for p in random_points] == [(0.1, RandomStep(0.1)), (0.4, RandomStep(0.4))]
    takeovers = control_points("one-step-takeover", [file], [])
    assert [p.policy for p in takeovers] == [OneStepTakeover(0.2), OneStepTakeover(0.7)]
    single = {"weak-only": WeakOnly(), "strong-only": StrongOnly(), "first-error-oracle": FirstErrorOracle()}
    for name, policy in single.items():
        assert [(p.router, p.policy) for p in control_points(name, [], [])] == [(name, policy)]
    with pytest.raises(ValueError, match="'trim-best'"):
        control_points("trim-best", [], [])


def test_more_is_regenerated_at_a_higher_setting(
    scripted_pair: Callable[[], ModelPair], make_problems: Callable[[int], list[Problem]]
) -> None:
    problems = make_problems(40)

    def share(router) -> float:
        episodes = solve_all([Run(p, router, 0) for p in problems], scripted_pair(), 30)
        return sum(e.costs.strong_calls for e in episodes) / sum(len(e.kept) for e in episodes)

    for kind in (Threshold, RandomStep, OneStepTakeover):
        shares = [share(kind(setting)) for setting in (0.0, 0.25, 0.5, 0.75, 1.01)]
        assert shares == sorted(shares)
        assert (shares[0], shares[-1]) == (0, 1)
    assert share(PerToken(0.02)) > share(PerToken(0.3)) > share(PerToken(1.0)) == 0
