"""TRIM-Agg and TRIM-Seq: what their networks see, how PPO trains them, and what is left on disk."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from trim.config.routers import AggRouter, KappaRange, Ppo, SeqRouter
from trim.errors import InputError
from trim.files import read_json, write_json
from trim.problems.problem import Problem
from trim.rollout.history import Observed
from trim.rollout.trees import RolloutTrees
from trim.rollout.vectorised import explore, outcomes, roll_out
from trim.routers.kappas import choose_kappas, tokens_per_solution
from trim.routers.learned.disk import load_policies, save_policies
from trim.routers.learned.environment import Routing, TreesWorld, spaces
from trim.routers.learned.features import AGGREGATES, AggregateEncoder, Scale, SequenceEncoder
from trim.routers.learned.fit import FittedPolicies, measure_scale, train_router
from trim.routers.learned.imitation import BestThreshold, Demonstrated, demonstrate, imitate
from trim.routers.learned.networks import AggLearner, ReleasedAggLearner, SeqLearner
from trim.routers.learned.seq import Block, SequenceNetwork

MAX_STEPS = 8
PPO = Ppo(n_envs=16, n_steps=4, batch_size=32, total_timesteps=256, evaluate_every=1)
GUIDED = PPO.model_copy(update={"imitation": 3})
KAPPAS = KappaRange(lowest=0.1, highest=2, count=5)
SCALE = Scale({"score": 0.5, "scores": 0.5, "log_kappa": 0.1}, {"score": 0.2, "tokens": 4.0, "draft_tokens": 4.0})
AGG = AggLearner(AggregateEncoder(SCALE, True), (16, 8))
RELEASED = ReleasedAggLearner(AggregateEncoder(SCALE, False, ("minimum", "product", "score")), 16)
SEQ = SeqLearner(SequenceEncoder(SCALE, True, MAX_STEPS, ("scores", "tokens", "strong")), 16, 2, 4)


def observed(n: int, seed: int = 0) -> Observed:
    rng = np.random.default_rng(seed)
    shape = n, MAX_STEPS
    return Observed(
        rng.random(shape),
        rng.random(shape),
        rng.integers(1, 20, shape),
        rng.random(shape) < 0.5,
        rng.integers(0, MAX_STEPS, n),
        rng.random(n) < 0.2,
    )


def sb3_policy(learner, seed: int = 0) -> ActorCriticPolicy:
    torch.manual_seed(seed)
    policy = ActorCriticPolicy(*spaces(learner.encoder.size), lambda _: 1e-3, **learner.policy_kwargs())
    for parameter in policy.parameters():  # as started, all actions are nearly even
        parameter.data.normal_(0, 0.5)
    with torch.no_grad():  # half of what is observed below on either side
        encoded = torch.from_numpy(learner.encoder.encode(observed(200), np.full(200, 0.7)))
        logits = policy.get_distribution(encoded).distribution.logits
        policy.action_net.bias[1] -= (logits[:, 1] - logits[:, 0]).median()
    policy.set_training_mode(False)
    return policy


def flip(seen: Observed) -> Observed:
    """Change everything behind the drafts."""
    behind = np.arange(MAX_STEPS) > seen.position[:, None]
    return replace(
        seen,
        scores=np.where(behind, 1 - seen.scores, seen.scores),
        draft_scores=np.where(behind, 0.123, seen.draft_scores),
        tokens=np.where(behind, 99, seen.tokens),
        strong=seen.strong ^ behind,
    )


@pytest.mark.parametrize("learner", [AGG, RELEASED, SEQ])
def test_what_is_kept_of_a_network_decides_as_the_network_does(learner) -> None:
    policy, seen = sb3_policy(learner), observed(500)
    with torch.no_grad():
        encoded = torch.from_numpy(learner.encoder.encode(seen, np.full(500, 0.7)))
        expected = policy.get_distribution(encoded).distribution.probs[:, 1] > 0.5
    decided = learner.build(learner.tensors(policy), 0.7).decide(seen)
    assert decided.tolist() == expected.tolist()
    assert 20 < decided.sum() < 480


@pytest.mark.parametrize("learner", [AGG, RELEASED, SEQ])
def test_what_is_behind_the_draft_changes_nothing(learner) -> None:
    policy, seen = learner.build(learner.tensors(sb3_policy(learner)), 0.7), observed(300, 1)
    assert (policy.decide(seen) == policy.decide(flip(seen))).all()


def test_the_state_at_a_step_is_causal_whatever_the_padding() -> None:
    """Changing a later step, or adding padding, never changes the state; changing an earlier one does."""
    torch.manual_seed(0)
    network = SequenceNetwork(2, MAX_STEPS, 16, 2, 4).eval()
    steps = torch.randn(MAX_STEPS, 2)
    with torch.no_grad():

        def state(position: int, values: torch.Tensor) -> torch.Tensor:
            row = torch.cat([torch.tensor([float(position), 0.3]), values.flatten()])
            return network(row[None])[0]

        for position in range(MAX_STEPS):
            later, earlier = steps.clone(), steps.clone()
            later[position + 1 :] += 5
            earlier[0] += 5
            torch.testing.assert_close(state(position, later), state(position, steps), rtol=0, atol=0)
            assert (state(position, earlier) - state(position, steps)).abs().max() > 1e-3
            # In a batch with a longer episode there is more padding behind it.
            rows = torch.stack(
                [torch.cat([torch.tensor([float(p), 0.3]), steps.flatten()]) for p in (position, MAX_STEPS - 1)]
            )
            torch.testing.assert_close(network(rows)[0], state(position, steps), rtol=1e-5, atol=1e-6)


def test_one_position_alone_is_updated_as_it_is_among_all() -> None:
    torch.manual_seed(0)
    block = Block(16, 4)
    with torch.no_grad():
        for bias in (block.attention.in_proj_bias, block.attention.out_proj.bias):
            bias.normal_()
        states, position = torch.randn(7, 5, 16), torch.tensor([0, 1, 2, 3, 4, 4, 0])
        together = block(states, torch.ones(5, 5, dtype=torch.bool).triu(1))
        alone = block.update_one(states, position)
    torch.testing.assert_close(alone, together[torch.arange(7), position], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("learner", [AGG, SEQ])
def test_kappa_is_seen_where_the_policy_is_conditioned(learner) -> None:
    tensors, seen = learner.tensors(sb3_policy(learner)), observed(300, 2)
    low, high = (learner.build(tensors, kappa).decide(seen) for kappa in (0.05, 20.0))
    assert (low != high).any()
    blind = replace(learner.encoder, conditioned=False)
    encodings = [blind.encode(seen, np.full(300, kappa)) for kappa in (0.05, 20.0)]
    assert (encodings[0] == encodings[1]).all()


def test_aggregates_are_those_of_the_paper() -> None:
    seen = Observed(
        np.array([[0.9, 0.4, 0.8, 0.0]]),
        np.array([[0.2, 0.4, 0.8, 0.0]]),
        np.array([[7, 5, 6, 0]]),
        np.array([[True, False, False, False]]),
        np.array([2]),
        np.array([False]),
    )
    encoder = AggregateEncoder(Scale({}, {}), False, (*AGGREGATES, "product"))
    np.testing.assert_allclose(encoder.encode(seen, np.ones(1)), [[0.8, 0.4, 6, 2, 0.36]], rtol=1e-6)
    first = replace(seen, position=np.array([0]))
    np.testing.assert_allclose(encoder.encode(first, np.ones(1)), [[0.9, 1, 7, 0, 1]], rtol=1e-6)


def judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
    return (answer == problem.answer,) * 2


@pytest.fixture
def trees(make_problems, scripted_pair) -> tuple[RolloutTrees, RolloutTrees]:
    made = []
    for count in (8, 5):
        made.append(RolloutTrees(make_problems(count), 1, MAX_STEPS, judge, scripted_pair()))
        made[-1].grow_fully(10_000)
    return made[0], made[1]


TRAINED = {
    "agg-conditioned": (AggRouter(hidden=(8,), ppo=PPO), "conditioned"),
    "agg-default": (AggRouter(hidden=(8,), kappas=(0.5, 0.1), ppo=PPO), "default"),
    "agg-guided": (AggRouter(hidden=(8,), ppo=GUIDED), "conditioned"),
    "seq-guided": (SeqRouter(width=8, heads=2, ppo=GUIDED), "conditioned"),
    "agg-released": (AggRouter(kappas=(0.5,), ppo=PPO), "released"),
    "seq-conditioned": (SeqRouter(width=8, heads=2, ppo=PPO), "conditioned"),
}


@pytest.mark.parametrize("name", TRAINED)
def test_training_is_repeatable_and_keeps_the_best_look_at_dev(name: str, trees, tmp_path) -> None:
    settings, variant = TRAINED[name]
    learner, first = train_router(settings, variant, *trees, KAPPAS, 3, tmp_path / "a")
    _, second = train_router(settings, variant, *trees, KAPPAS, 3, tmp_path / "b")
    assert first.evaluations == second.evaluations
    for one, other in zip(first.networks, second.networks, strict=True):
        assert one.keys() == other.keys()
        assert all((one[key] == other[key]).all() for key in one)
    assert first.shares == {"known_timesteps": 1}
    kappas = [kappa for kappa, _ in first.served]
    assert kappas == (KAPPAS.candidates() if variant == "conditioned" else sorted(settings.kappas))
    assert list((tmp_path / "a").rglob("events.out.tfevents*"))
    if variant == "default":  # the policy that is kept has the best return that was seen on dev
        trees, dev = trees
        for kappa, network in first.served:
            seen = [check.dev_return for at, check in first.evaluations if at == kappa]
            correct, tokens = outcomes(dev, roll_out(dev, learner.build(first.networks[network], kappa)))
            kept = correct.mean() - kappa / tokens_per_solution(trees) * tokens.mean()
            assert kept == pytest.approx(max(seen))


def test_imitation_teaches_what_the_best_threshold_does(trees) -> None:
    grown, price = trees[0], tokens_per_solution(trees[0])
    learner = AggLearner(AggregateEncoder(measure_scale(grown, KAPPAS), True), (32,))
    teacher = BestThreshold.on(grown, price)
    assert teacher.at(np.array([0.0])) > teacher.at(np.array([1e6])) == 0
    rng = np.random.default_rng(0)

    def draw(count: int) -> np.ndarray:
        return rng.choice(KAPPAS.candidates(), count)

    routing = Routing(TreesWorld(grown, 64, rng), Demonstrated(learner.encoder, teacher), draw, price)
    policy = ActorCriticPolicy(*spaces(learner.encoder.size), lambda _: 1e-3, **learner.policy_kwargs())
    seen, decided, _ = demonstrate(routing, MAX_STEPS, 0.1, rng)

    def agreement() -> float:
        return (policy.predict(seen, deterministic=True)[0] == decided).mean()

    fresh = agreement()
    settings = PPO.model_copy(update={"imitation": 40, "batch_size": 64})
    imitate(policy, routing, settings, MAX_STEPS, 0)
    assert fresh < 0.7
    assert 0.8 < agreement() <= 1 - 0.1 + 0.02


def test_demonstrations_hold_what_came_of_whole_episodes(trees) -> None:
    grown, price = trees[0], tokens_per_solution(trees[0])
    encoder = Demonstrated(AggregateEncoder(Scale({}, {}), True), BestThreshold.on(grown, price))
    world = TreesWorld(grown, 16, np.random.default_rng(0))
    routing = Routing(world, encoder, lambda count: np.full(count, 1e-9), price)
    seen, decided, returns = demonstrate(routing, 2 * MAX_STEPS, 0.0, np.random.default_rng(1))
    assert seen.shape == (len(returns), encoder.size - 1)
    assert set(np.round(returns, 6)) <= {0.0, 1.0} and len(returns) >= 16
    best = encoder.teacher.at(np.array([1e-9]))
    assert (decided == (seen[:, 0] < best)).all()


@pytest.mark.parametrize("name", ["agg-conditioned", "agg-default", "seq-conditioned"])
def test_training_and_choices_stay_inside_closed_trees(name: str, make_problems, scripted_pair, tmp_path) -> None:
    settings, variant = TRAINED[name]
    made = [RolloutTrees(make_problems(count), 1, MAX_STEPS, judge, scripted_pair()) for count in (8, 5)]
    for grown in made:
        explore(grown, 12)
        grown.close().pair = None
    sizes = [len(grown) for grown in made]
    learner, trained = train_router(settings, variant, *made, KAPPAS, 3, tmp_path)
    choose_kappas(lambda kappa: learner.build(trained.networks[0], kappa), KAPPAS.candidates(), made[1], 3)
    assert [len(grown) for grown in made] == sizes
    assert 0 < trained.shares["answered_otherwise"] < 0.5 < trained.shares["known_timesteps"] < 1
    fitted = FittedPolicies("trim-agg", variant, learner, trained, trained.served)
    fitted.save(tmp_path / "policies", {})
    kept = read_json(tmp_path / "policies/metrics.json")
    assert kept["answered_otherwise"] == trained.shares["answered_otherwise"]


def test_patience_ends_a_training(trees, tmp_path) -> None:
    settings = AggRouter(hidden=(8,), ppo=PPO.model_copy(update={"total_timesteps": 64_000, "patience": 2}))
    _, trained = train_router(settings, "conditioned", *trees, KAPPAS, 0, tmp_path)
    returns = [check.dev_return for _, check in trained.evaluations]
    assert len(returns) < 200
    assert max(returns) > max(returns[-2:])


def test_policies_survive_the_disk_in_a_fresh_process(tmp_path) -> None:
    for learner in (AGG, RELEASED, SEQ):
        router = "trim-seq" if learner is SEQ else "trim-agg"
        networks = [learner.tensors(sb3_policy(learner, seed)) for seed in (0, 1)]
        points = [(0.1, 0), (0.7, 0), (0.9, 1)]
        folder = tmp_path / f"{type(learner).__name__}"
        save_policies(folder, router, learner.encoder, learner.shape, networks, points, {"code": "x"})
        seen = observed(200, 3)
        expected = [learner.build(networks[i], kappa).decide(seen).tolist() for kappa, i in points]
        program = f"""
import json, sys
from pathlib import Path
sys.path.insert(0, {str(tmp_path.parent)!r})
import numpy as np
from trim.rollout.history import Observed
from trim.routers.learned.disk import load_policies
rng = np.random.default_rng(3)
shape = 200, {MAX_STEPS}
seen = Observed(rng.random(shape), rng.random(shape), rng.integers(1, 20, shape), rng.random(shape) < 0.5,
                rng.integers(0, {MAX_STEPS}, 200), rng.random(200) < 0.2)
policies = load_policies(Path({str(folder)!r}))
print(json.dumps([[p.kappa for p in policies], [p.decide(seen).tolist() for p in policies]]))
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        kappas, decided = json.loads(done.stdout)
        assert kappas == [0.1, 0.7, 0.9]
        assert decided == expected


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_a_damaged_policy_is_one_sentence(name: str, tmp_path) -> None:
    save_policies(tmp_path, "trim-agg", AGG.encoder, AGG.shape, [AGG.tensors(sb3_policy(AGG))], [(0.5, 0)], {})
    whole = (tmp_path / name).read_bytes()
    for content in (whole[:100], b'{"router": "trim-best"}'):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(
            InputError, match=f"{name}: not what this workflow wrote .*; delete {tmp_path} and run again"
        ):
            load_policies(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=f"{name}: .*No such file"):
        load_policies(tmp_path)


@pytest.mark.parametrize(
    ("learner", "changes"),
    [
        (AGG, {"router": "trim-best"}),
        (AGG, {"shape": {"activation": "sine"}}),
        (AGG, {"points": [{"kappa": "0.5", "network": 0}]}),
        (AGG, {"points": [{"kappa": 0.5, "network": 7}]}),
        (AGG, {"encoder": {"scale": {"mean": {}, "deviation": {}}, "conditioned": True, "features": ["score"]}}),
        (AGG, {"encoder": {"scale": {"mean": {}, "deviation": {}}, "conditioned": True, "features": ["__class__"]}}),
        (SEQ, {"shape": {"width": 10**9, "layers": 2, "heads": 4}}),
        (SEQ, {"shape": {"width": 1 << 14, "layers": 2, "heads": 4}}),
        (SEQ, {"shape": {"width": 16, "layers": 3, "heads": 4}}),
    ],
)
def test_settings_that_do_not_fit_the_weights_are_refused_before_anything_is_built(learner, changes, tmp_path) -> None:
    router = "trim-seq" if learner is SEQ else "trim-agg"
    save_policies(
        tmp_path, router, learner.encoder, learner.shape, [learner.tensors(sb3_policy(learner))], [(0.5, 0)], {}
    )
    assert len(load_policies(tmp_path)) == 1
    write_json(read_json(tmp_path / "policy.json") | changes, tmp_path / "policy.json")
    with pytest.raises(InputError, match="not a folder of trained policies .*; delete it and run again"):
        load_policies(tmp_path)
