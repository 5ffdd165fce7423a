"""What routers decide, and where their operating points lie."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from histories import first_drafts

from trim.config.routers import Routers
from trim.errors import ConfigError, InputError
from trim.files import write_json
from trim.models.protocols import ModelPair, Prefix
from trim.problems.grading import Grader
from trim.problems.problem import Problem
from trim.rollout.engine import OnePlace, Run, solve_all
from trim.rollout.tables import OperatingPoint, episode_table, roll_out_points, run_points
from trim.rollout.trees import RolloutTrees
from trim.rollout.vectorised import roll_out
from trim.routers.controls import RandomStep, StrongOnly, WeakOnly
from trim.routers.registry import control_points, step_router
from trim.routers.router import TrainingData
from trim.routers.threshold import (
    FittedThresholds,
    OneStepTakeover,
    PerToken,
    Threshold,
    choose_per_token,
    choose_thresholds,
    concave_hull,
    fit,
    fit_hull,
    quantile_thresholds,
)


def judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
    return (answer == problem.answer,) * 2


@dataclass
class Given:
    """Places that are given one by one."""

    places: list[OnePlace]

    def prefixes(self) -> list[tuple[Prefix, int]]:
        return [(place.prefix, place.replicate) for place in self.places]


def regenerates(router, *scores: float, tokens: int = 10) -> list[bool]:
    return router.decide(first_drafts(scores, tokens)).tolist()


def test_a_threshold_regenerates_below_it() -> None:
    assert regenerates(Threshold(0.5), 0.0, 0.4999, 0.5, 1.0) == [True, True, False, False]
    assert regenerates(Threshold(0.0), 0.0) == [False]
    assert regenerates(Threshold(np.nextafter(1, 2)), 1.0) == [True]


def test_per_token_weighs_doubt_with_length() -> None:
    router = PerToken(0.04)  # of ten tokens: doubt above 0.4
    assert regenerates(PerToken(0.5), 0.4, tokens=0) == [True]  # an empty draft divides nothing
    assert regenerates(router, 0.5, 0.59, 0.61, 1.0) == [True, True, False, False]
    assert regenerates(router, 0.8, tokens=4) == [True]
    assert regenerates(router, 0.2, tokens=20) == [False]


def test_a_takeover_asks_for_drafts_while_the_weak_model_writes() -> None:
    router = OneStepTakeover(0.5)
    assert router.wants_drafts(np.array([False, True, False])).tolist() == [True, False, True]
    assert regenerates(router, 0.49, 0.5) == [True, False]


def test_the_end_points() -> None:
    after_strong = np.array([False, True])
    assert WeakOnly().wants_drafts(after_strong).tolist() == [True, True]
    assert regenerates(WeakOnly(), 0.0, 1.0) == [False, False]
    assert StrongOnly().wants_drafts(after_strong).tolist() == [False, False]
    assert regenerates(StrongOnly(), 0.0, 1.0) == [True, True]


def test_random_steps_are_drawn_by_prefix_and_replicate() -> None:
    places = [OnePlace(Prefix.of("p", f"{i}\n\n"), replicate) for i in range(400) for replicate in range(2)]
    drafts = first_drafts([0.5] * 800, places=Given(places))
    draws = {p: RandomStep(p).decide(drafts).tolist() for p in (0.0, 0.2, 0.5, 1.0)}
    assert not any(draws[0.0])
    assert all(draws[1.0])
    assert sum(draws[0.2]) / 800 == pytest.approx(0.2, abs=0.05)
    assert sum(draws[0.5]) / 800 == pytest.approx(0.5, abs=0.06)
    assert all(high for low, high in zip(draws[0.2], draws[0.5], strict=True) if low)  # nested
    assert draws[0.5][::2] != draws[0.5][1::2]  # replicates differ
    assert draws[0.5] != RandomStep(0.5, "other").decide(drafts).tolist()
    # One by one it is the same, whatever the draft.
    alone = [RandomStep(0.5).decide(first_drafts([0.9], tokens=3, places=place)) for place in places]
    assert draws[0.5] == np.concatenate(alone).tolist()


# --- operating points -------------------------------------------------------------------


def test_thresholds_lie_at_squared_quantiles() -> None:
    values = np.linspace(0, 1, 1001).tolist()
    assert quantile_thresholds(values, 4) == pytest.approx([(i / 5) ** 2 for i in (1, 2, 3, 4)])
    assert quantile_thresholds(random.Random(1).sample(values, 1001), 4) == quantile_thresholds(values, 4)
    assert quantile_thresholds([0.5] * 30, 6) == [0.5]


def test_thresholds_are_chosen_over_the_weak_models_own_drafts(
    scripted_pair: Callable[[], ModelPair], make_problems: Callable[[int], list[Problem]]
) -> None:
    problems = make_problems(60)
    trees = RolloutTrees(problems, 1, 30, judge, scripted_pair())
    roll_out(trees, Threshold(0.5))  # drafts behind strong steps are known, too
    data = TrainingData(trees, trees, Routers(operating_points=9), labelled=False)
    default, per_token = choose_thresholds(data), choose_per_token(data)
    alone = solve_all([Run(problem, Threshold(0.0), 0) for problem in problems], scripted_pair(), 30)
    scores, tokens = np.array([(k.draft_score.value, k.draft.tokens) for e in alone for k in e.kept]).T
    levels = np.array([(i / 10) ** 2 for i in range(1, 10)])
    assert default == pytest.approx(np.quantile(scores, levels))
    assert per_token == pytest.approx(np.quantile((1 - scores) / tokens, 1 - levels)[::-1])
    # As many steps are regenerated by both, at the corresponding points.
    drafts = first_drafts(scores, tokens.astype(int))
    shares = [Threshold(value).decide(drafts).mean() for value in default]
    others = [PerToken(value).decide(drafts).mean() for value in per_token]
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


def test_the_hull_is_chosen_on_dev_among_the_thresholds_of_the_training_split(
    scripted_pair: Callable[[], ModelPair], make_problems: Callable[[int], list[Problem]]
) -> None:
    trees, dev = (
        RolloutTrees(make_problems(60)[part], 1, 30, judge, scripted_pair()) for part in (slice(40), slice(40, 60))
    )
    data = TrainingData(trees, dev, Routers(operating_points=9), labelled=False)
    default, hull = (fit("trim-thr", variant, data, 0).points() for variant in ("default", "hull"))
    sweep = [OperatingPoint("trim-thr", "default", 0.0, Threshold(0.0)), *default]
    assert [point.setting for point in hull] == fit_hull(roll_out_points(sweep, dev))
    assert 0 < len(hull) < len(default)


def test_every_router_has_its_operating_points(tmp_path: Path) -> None:
    settings, thresholds = Routers(), [0.2, 0.7]
    kinds = {"default": Threshold, "hull": Threshold, "per-token": PerToken}
    for variant, kind in kinds.items():
        fitted, folder = FittedThresholds("trim-thr", variant, thresholds), tmp_path / f"{variant}.0"
        fitted.save(folder, {})
        loaded = step_router("trim-thr", settings).load(folder)
        assert loaded == fitted.points()
        expected = [("trim-thr", variant, value, kind(value)) for value in thresholds]
        assert [(p.router, p.variant, p.setting, p.policy) for p in loaded] == expected
    takeovers = step_router("one-step-takeover", settings).load(tmp_path / "default.0")
    assert [(p.router, p.policy) for p in takeovers] == [("one-step-takeover", OneStepTakeover(v)) for v in thresholds]
    (rsd,) = control_points("rsd", settings)
    assert (rsd.router, rsd.setting, rsd.policy) == ("rsd", 0.7, Threshold(0.7))
    for name, policy in {"weak-only": WeakOnly(), "strong-only": StrongOnly()}.items():
        assert [(p.router, p.policy) for p in control_points(name, settings)] == [(name, policy)]


def test_unknown_routers_and_damaged_thresholds_get_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no router 'trim-best' without a fit; there are .*rsd"):
        control_points("trim-best", Routers())
    with pytest.raises(ConfigError, match="no fitted router 'trim-best'; there are trim-thr, "):
        step_router("trim-best", Routers())
    folder = tmp_path / "default.0"
    FittedThresholds("trim-thr", "default", [0.5]).save(folder, {})
    for content in ({}, {"thresholds": ["high"]}):
        write_json(content, folder / "thresholds.json")
        with pytest.raises(InputError, match="default.0: not a folder of thresholds .*; delete it and run again"):
            step_router("trim-thr", Routers()).load(folder)
    for damaged in ("", "{}", "[]"):
        (folder / "thresholds.json").write_text(damaged)
        with pytest.raises(InputError, match="thresholds.json: not what .* no checksum.*; delete .* and run again"):
            step_router("trim-thr", Routers()).load(folder)


def test_random_steps_on_a_forest_are_those_of_the_engine(
    scripted_pair: Callable[[], ModelPair], make_problems: Callable[[int], list[Problem]]
) -> None:
    problems, points = make_problems(10), control_points("random-step", Routers(random_shares=(0.2, 0.6)))
    assert [(point.setting, point.policy) for point in points] == [(p, RandomStep(p)) for p in (0.2, 0.6)]
    table = roll_out_points(points, RolloutTrees(problems, 2, 30, judge, scripted_pair()))
    with Grader() as grader:
        solved = episode_table(run_points(points, problems, scripted_pair(), 2, 30), grader, exact=True)
    keys = ["operating_point", "problem_id", "replicate"]
    pd.testing.assert_frame_equal(
        table.sort_values(keys, ignore_index=True),
        solved.sort_values(keys, ignore_index=True)[list(table)],
        check_dtype=False,
    )


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
