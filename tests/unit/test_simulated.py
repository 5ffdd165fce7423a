"""PPO finds what is known to be best: in a small POMDP, with certificate."""

from dataclasses import replace

import numpy as np
import pytest

from trim.checks.ppo_against_optimum import GRID, Decide, FeatureJudge, HistoryJudge, compare
from trim.checks.simulator import play
from trim.config.routers import Ppo
from trim.rollout.history import Observed
from trim.routers.controls import WeakOnly
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.observation import ObservationModel
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.solver import solve
from trim.routers.pomdp.transition import TransitionModel

DRAFT = np.array([[0.05, 0.3, 0.6], [0.15, 0.3, 0.3], [0.8, 0.4, 0.1]])
MODEL = PomdpModel(
    ObservationModel(np.array([0, 0.3, 0.7, 1.0]), DRAFT, DRAFT),
    TransitionModel(
        np.full(5, 0.7), 0.97, 0.9, np.array([0, 0, 0.3, 0.5, 1.0]), np.array([6.0, 14.0]), np.full(2, 0.5)
    ),
)
COSTS = [0.012, 0.003, 0.006]
SETTINGS = Ppo(
    learning_rate=3e-3,
    annealed=True,
    entropy_coefficient=0.003,
    gae_lambda=0.8,
    n_envs=256,
    batch_size=512,
    total_timesteps=100_000,
    evaluate_every=10,
)


@pytest.mark.slow
@pytest.mark.parametrize("router", ["trim-agg", "trim-seq"])
def test_ppo_comes_within_three_percent_of_the_best(router: str) -> None:
    found = list(compare(router, MODEL, COSTS, SETTINGS, 0, hidden=(32, 32), width=16, episodes=20_000))  # type: ignore[arg-type]
    assert [result.cost for result in found] == sorted(COSTS)
    for result in found:
        assert result.weak_only < result.trained < result.best + 1e-9
        assert result.share - result.half_width >= 0.97


def _always(observed: Observed) -> np.ndarray:
    return np.ones(len(observed.position), dtype=bool)


def _alternating(observed: Observed) -> np.ndarray:
    return (observed.score < 0.5) ^ (observed.position % 2 == 1) ^ (observed.minimum < 0.5)


@pytest.mark.parametrize("decide", [WeakOnly().decide, _always, _alternating])
def test_losses_against_the_optimum_tell_what_a_policy_is_worth(decide: Decide) -> None:
    exact, error = FeatureJudge(MODEL, 0.01).worth(decide, 0, 0)
    assert error == 0
    simulated, error = HistoryJudge(MODEL, 0.01).worth(decide, 40_000, 0)
    assert 0 < error < 0.005
    assert simulated == pytest.approx(exact, abs=4 * error)


def test_the_optimum_loses_nothing_and_no_policy_on_features_beats_it() -> None:
    values = solve(MODEL, [0.01], GRID).upper[0]
    judge = HistoryJudge(MODEL, 0.01)
    assert judge.worth(PomdpPolicy(MODEL, values, 0.01).decide, 5_000, 0) == (judge.best, 0)
    assert FeatureJudge(MODEL, 0.01).best < judge.best


def test_losses_vary_less_than_rewards() -> None:
    model = replace(MODEL, reward=100.0)
    _, error = HistoryJudge(model, 1.0).worth(_alternating, 10_000, 0)
    assert error < play(model, _alternating, 1.0, 10_000, 0).standard_error / 1.5
