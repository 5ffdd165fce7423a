"""PPO finds what is known to be best: in a small POMDP, with certificate."""

import numpy as np
import pytest

from trim.config import Ppo
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.observation import ObservationModel
from trim.routers.pomdp.transition import TransitionModel
from trim.training.simulated import compare

DRAFT = np.array([[0.05, 0.3, 0.6], [0.15, 0.3, 0.3], [0.8, 0.4, 0.1]])
MODEL = PomdpModel(
    ObservationModel(np.array([0, 0.3, 0.7, 1.0]), DRAFT, DRAFT),
    TransitionModel(
        np.full(5, 0.7), 0.97, 0.9, np.array([0, 0, 0.3, 0.5, 1.0]), np.array([6.0, 14.0]), np.full(2, 0.5)
    ),
)
SETTINGS = Ppo(
    learning_rate=3e-3, annealed=True, entropy_coefficient=0.002, lanes=256, batch_size=512, transitions=120_000
)


@pytest.mark.slow
@pytest.mark.parametrize("router", ["trim-agg", "trim-seq"])
def test_ppo_comes_within_three_percent_of_the_best(router: str) -> None:
    result = compare(router, MODEL, 0.01, SETTINGS, 0, hidden=(32, 32), width=16)  # type: ignore[arg-type]
    assert result.weak_only < result.best_on_features < result.optimum
    assert result.trained < result.optimum + 4 * result.standard_error
    best = result.best_on_features if router == "trim-agg" else result.optimum
    assert result.gain(best) >= 0.97
