"""The training environment: what Gymnasium and stable-baselines3 expect, and rewards that add up."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.vec_env import VecEnv

from trim.problems.problem import Problem
from trim.rollout.trees import KEEP, RolloutTrees
from trim.rollout.vectorised import outcomes, roll_out
from trim.routers.controls import StrongOnly, WeakOnly
from trim.routers.learned.environment import Routing, TreesWorld, TrimEnv, TrimVecEnv
from trim.routers.learned.features import AggregateEncoder, Scale, SequenceEncoder

MAX_STEPS = 8
PRICE = 50.0
PLAIN = Scale({}, {})


def judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
    return (answer == problem.answer,) * 2


@pytest.fixture
def trees(make_problems, scripted_pair) -> RolloutTrees:
    trees = RolloutTrees(make_problems(7), 2, MAX_STEPS, judge, scripted_pair())
    trees.grow_fully(10_000)
    return trees


def routing(trees: RolloutTrees, n_envs: int, seed: int | None = 0, kappa: float = 0.5, encoder=None) -> Routing:
    rng = np.random.default_rng(seed)
    encoder = encoder or AggregateEncoder(PLAIN, True)
    return Routing(TreesWorld(trees, n_envs, rng), encoder, lambda count: np.full(count, kappa), PRICE)


@pytest.mark.parametrize("encoder", [AggregateEncoder(PLAIN, False), SequenceEncoder(PLAIN, True, MAX_STEPS)])
@pytest.mark.filterwarnings("ignore:.*infinity.*")  # scores and counts have no bounds that Gymnasium could use
def test_gymnasium_accepts_the_environment(trees: RolloutTrees, encoder) -> None:
    env = TrimEnv(lambda seed: routing(trees, 1, seed, encoder=encoder))
    check_env(env, skip_render_check=True)
    ended = steps = 0
    env.reset(seed=3)
    for _ in range(200):
        _, _, over, truncated, _ = env.step(np.int64(env.action_space.sample()))
        assert not truncated
        steps += 1
        if over:
            ended += 1
            env.reset()
    assert 20 < ended < steps


def test_one_environment_is_one_episode_at_a_time(trees: RolloutTrees) -> None:
    with pytest.raises(ValueError, match="one episode at a time, not 2"):
        TrimEnv(lambda seed: routing(trees, 2, seed))


def test_returns_are_right_answers_minus_the_price_of_strong_tokens(trees: RolloutTrees) -> None:
    """Episodes of a fixed policy have, by problem, the outcomes of its rollout."""
    kappa = 0.7
    for always in (False, True):
        env = TrimVecEnv(routing(trees, 16, kappa=kappa))
        assert isinstance(env, VecEnv) and env.num_envs == 16
        env.reset()
        running, returns = np.zeros(16), []
        for _ in range(600):
            _, rewards, ends, infos = env.step(np.full(16, int(always)))
            assert len(infos) == 16
            running += rewards
            returns += running[ends].tolist()
            running[ends] = 0
        rollout = roll_out(trees, StrongOnly() if always else WeakOnly())
        correct = trees.nodes["correct"][rollout.last, rollout.action]
        possible = correct - kappa / PRICE * rollout.strong_tokens
        assert set(np.round(returns, 5)) <= set(np.round(possible, 5))
        assert len(returns) > 1000
        standard_error = possible.std() / np.sqrt(len(returns))
        assert abs(np.mean(returns) - possible.mean()) < 5 * standard_error + 1e-6


def test_observations_follow_the_history(trees: RolloutTrees) -> None:
    """Features of TRIM-Agg are those of the node that the actions lead to."""
    world = TreesWorld(trees, 1, np.random.default_rng(5))
    env = Routing(world, AggregateEncoder(PLAIN, True), lambda count: np.full(count, np.e), PRICE)
    observation = env.reset()[0]
    rng = np.random.default_rng(6)
    kept: list[float] = []
    for _ in range(200):
        node = trees.nodes[int(world._node[0])]
        expected = [node["score"][KEEP], min([1.0, *kept]), node["tokens"][KEEP], len(kept), 1.0]
        np.testing.assert_allclose(observation, expected, rtol=1e-6)
        action = int(rng.integers(2))
        observations, _, ended = env.step(np.array([bool(action)]))
        kept = [] if ended[0] else [*kept, float(node["score"][action])]
        observation = observations[0]


def test_a_sequence_holds_the_steps_so_far_and_nothing_behind(trees: RolloutTrees) -> None:
    env = routing(trees, 32, encoder=SequenceEncoder(PLAIN, False, MAX_STEPS, ("scores", "tokens", "strong")))
    observations = env.reset()
    rng = np.random.default_rng(7)
    longest = 0
    for _ in range(40):
        steps = observations[:, 2:].reshape(32, MAX_STEPS, 3)
        position = observations[:, 0].astype(int)
        longest = max(longest, int(position.max()))
        behind = np.arange(MAX_STEPS) > position[:, None]
        assert (steps[behind] == 0).all()
        assert (steps[~behind][:, 1] > 0).all()  # every step has tokens
        assert (steps[np.arange(32), position, 2] == 0).all()  # nobody has written the draft's place yet
        observations, _, _ = env.step(rng.random(32) < 0.5)
    assert longest >= 3


def test_the_same_seed_gives_the_same_episodes(trees: RolloutTrees) -> None:
    def play(seed: int) -> list[list[float]]:
        env = routing(trees, 8, seed)
        env.reset()
        return [env.step(np.arange(8) % 2 == 0)[1].tolist() for _ in range(30)]

    assert play(1) == play(1) != play(2)


def test_known_decisions_are_counted(make_problems, scripted_pair) -> None:
    trees = RolloutTrees(make_problems(4), 1, MAX_STEPS, judge, scripted_pair())
    world = TreesWorld(trees, 4, np.random.default_rng(0))
    env = Routing(world, AggregateEncoder(PLAIN, False), np.ones, PRICE)
    env.reset()
    for _ in range(300):
        env.step(np.random.default_rng(world.timesteps).random(4) < 0.5)
    assert world.timesteps == 1200
    assert 0.8 < world.known_timesteps / world.timesteps < 1
    before = world.known_timesteps
    trees.grow_fully(10_000)
    env.step(np.ones(4, dtype=bool))
    assert world.known_timesteps - before == 4


def test_outcomes_need_no_random_numbers(trees: RolloutTrees) -> None:
    first, second = (outcomes(trees, roll_out(trees, StrongOnly())) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
