"""Small POMDPs with random numbers, and random histories."""

import numpy as np

from trim.rollout.history import Observed
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.observation import ObservationModel, floored
from trim.routers.pomdp.transition import TransitionModel


def random_model(
    rng: np.random.Generator,
    bins: int = 4,
    steps: int = 5,
    tokens: tuple[int, ...] = (3, 9),
    reward: float = 1.0,
    *,
    strong_scores: bool = True,
) -> PomdpModel:
    def likelihoods() -> np.ndarray:
        return floored(rng.dirichlet(np.ones(bins), 3).T)

    edges = np.concatenate([[0], np.sort(rng.uniform(0.01, 0.99, bins - 1)), [1]])
    observation = ObservationModel(edges, likelihoods(), likelihoods() if strong_scores else np.ones((1, 3)))
    transition = TransitionModel(
        weak_accuracy=rng.uniform(0.3, 0.95, steps),
        strong_if_right=float(rng.uniform(0.7, 1)),
        strong_if_wrong=float(rng.uniform(0.5, 1)),
        hazard=np.append(rng.uniform(0, 0.5, steps - 1), 1.0),
        tokens=np.array(tokens, dtype=float),
        token_weights=rng.dirichlet(np.ones(len(tokens))),
    )
    return PomdpModel(observation, transition, reward)


def random_observed(rng: np.random.Generator, model: PomdpModel, count: int) -> Observed:
    shape = count, model.max_steps
    draft_scores, strong = rng.uniform(0, 1, shape), rng.random(shape) < 0.4
    position = rng.integers(0, model.max_steps, count)
    strong[np.arange(count), position] = False  # nobody has written the draft's step again yet
    scores = np.where(strong, rng.uniform(0, 1, shape), draft_scores)
    tokens = rng.integers(1, 20, shape)
    return Observed(scores, draft_scores, tokens, strong, position, rng.random(count) < 0.3)
