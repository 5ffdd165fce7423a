"""States of steps without labels, in a world whose truth is known to the test alone."""

import asyncio
from dataclasses import dataclass

import numpy as np
import pytest

from trim.arrays import Booleans
from trim.config.routers import PomdpRouter
from trim.models.protocols import FinishReason, ModelPair, Prefix, Score, Step
from trim.problems.problem import Problem
from trim.rollout.trees import KEEP, REGENERATE, RolloutTrees
from trim.routers.pomdp import inferred
from trim.routers.pomdp.fit import Labels, fit_pomdp, observe_trees
from trim.routers.pomdp.model import PomdpModel

WEAK, STRONG, STEPS = 0.75, 0.9, 5


@dataclass
class Writer:
    """Writes steps that say whether they are right; the last one boxes an answer that is right if all steps are."""

    identity: str
    accuracy: float

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        await asyncio.sleep(0)
        draw = np.random.default_rng(int.from_bytes(prefix.digest[:7], "little") + len(self.identity)).random()
        right = draw < self.accuracy
        text = f"{'right' if right else 'wrong'} {draw:.6f} {self.identity}\n\n"
        if prefix.depth + 1 == STEPS:
            solved = right and all(step.startswith("right") for step in prefix.steps)
            return Step(text + f"\\boxed{{{int(solved)}}}", (1,) * 9, 9, FinishReason.END_OF_SEQUENCE)
        return Step(text, (1,) * (3 + int(10 * draw)), 9, FinishReason.SEPARATOR)


class Scorer:
    """Scores right steps behind right ones higher, with much noise."""

    identity = "scorer"

    async def score(self, prefix: Prefix, step: str) -> Score:
        await asyncio.sleep(0)
        rng = np.random.default_rng(int.from_bytes(prefix.extend(step).digest[:7], "little"))
        right = all(text.startswith("right") for text in (*prefix.steps, step))
        return Score(float(rng.beta(4, 2) if right else rng.beta(2, 4)), 9)


@pytest.fixture(scope="module")
def trees() -> RolloutTrees:
    problems = [Problem(f"p-{i}", "made", f"problem {i}", "1", f"{i:08x}") for i in range(60)]
    pair = ModelPair(Writer("weak", WEAK), Writer("strong!", STRONG), Scorer())

    def judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
        return (answer == problem.answer,) * 2

    grown = RolloutTrees(problems, 1, STEPS, judge, pair)
    grown.grow_fully(1000)
    return grown


def truth(trees: RolloutTrees) -> Labels:
    prefix = np.array([all(s.startswith("right") for s in trees.prefix(n).steps) for n in range(len(trees))])
    step = np.array([[trees.text(n, a).startswith("right") for a in (KEEP, REGENERATE)] for n in range(len(trees))])
    return Labels(prefix, step)


def fit(trees: RolloutTrees, labels: Labels) -> PomdpModel:
    return fit_pomdp(trees, labels, observe_trees(trees, labels), PomdpRouter(bins=8), "default")


@pytest.fixture(scope="module")
def drawn(trees: RolloutTrees) -> Labels:
    def refit(prefix: Booleans, step: Booleans) -> PomdpModel:
        return fit(trees, Labels(prefix, step))

    return Labels(*inferred.infer_states(trees, refit, seed=0))


def test_inferred_states_are_mostly_the_true_ones(trees: RolloutTrees, drawn: Labels) -> None:
    known = truth(trees)
    shape = inferred.DRAWS, len(trees)
    assert (drawn.prefix.reshape(shape) == known.prefix).mean() > 0.95
    right = np.broadcast_to(known.prefix, shape)
    assert (drawn.step.reshape(*shape, 2) == known.step)[right].mean() > 0.85


def test_the_model_that_is_fitted_to_them_is_that_of_the_labelled_steps(trees: RolloutTrees, drawn: Labels) -> None:
    found, best = fit(trees, drawn), fit(trees, truth(trees))
    assert found.transition.weak_accuracy == pytest.approx(best.transition.weak_accuracy, abs=0.05)
    assert found.transition.strong_if_wrong == pytest.approx(best.transition.strong_if_wrong, abs=0.05)
    centres = found.observation.centres
    for state in range(3):
        ours, theirs = (centres @ model.observation.draft[:, state] for model in (found, best))
        assert ours == pytest.approx(theirs, abs=0.06)


def test_draws_hang_on_the_seed_alone(trees: RolloutTrees, drawn: Labels) -> None:
    def refit(prefix: Booleans, step: Booleans) -> PomdpModel:
        return fit(trees, Labels(prefix, step))

    again = inferred.infer_states(trees, refit, seed=0)
    assert np.array_equal(again[0], drawn.prefix) and np.array_equal(again[1], drawn.step)


def test_behind_a_wrong_step_all_prefixes_are_wrong(trees: RolloutTrees, drawn: Labels) -> None:
    prefix, step = (part.reshape(inferred.DRAWS, len(trees), *part.shape[1:]) for part in (drawn.prefix, drawn.step))
    for node, parent in enumerate(trees.nodes["parent"].tolist()):
        if parent >= 0:
            action = KEEP if trees.nodes["child"][parent, KEEP] == node else REGENERATE
            assert np.array_equal(prefix[:, node], prefix[:, parent] & step[:, parent, action])
