"""The optimum with perfect information, and the operating points laid on dev."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from trim.config.datasets import ArithmeticFamily
from trim.models.protocols import FinishReason, ModelPair, Score, Step
from trim.problems.arithmetic import draw_problems, parse_program, step_is_valid, step_labels
from trim.rollout.history import Observed, Reads
from trim.rollout.trees import KEEP, REGENERATE, RolloutTrees
from trim.rollout.vectorised import outcomes, roll_out
from trim.routers.controls import StrongOnly, WeakOnly
from trim.routers.kappas import HIGHEST_SHARE, choose_kappas, spread_over
from trim.routers.oracles import LookUp, best_actions, first_error_table, grow_where_right, optimum_table
from trim.routers.pomdp.fit import label_by_score, label_nodes, lowest_before, observe_solutions


class Arithmetician:
    """Writes the right step, but a wrong one with some probability; long steps or short ones."""

    def __init__(self, identity: str, p_wrong: float, tokens: int) -> None:
        self.identity, self.p_wrong, self.tokens = identity, p_wrong, tokens

    async def step(self, prefix, replicate) -> Step:
        key = (self.identity + prefix.digest.hex() + str(replicate)).encode()
        rng = np.random.default_rng(list(key))
        text = parse_program(prefix.problem_text).steps()[prefix.depth]
        if prefix.depth:  # go on from the value that was written
            before = prefix.text.split("=")[1].strip()
            if "boxed" in text:
                text = f"\\boxed{{{before}}}"
            else:
                label, rest = text.split(":")
                instruction = parse_program(prefix.problem_text).instructions[prefix.depth]
                value = instruction.apply(int(before))
                text = f"{label}:{before}{instruction.sign}{instruction.operand}={value}\n\n"
        if "=" in text and rng.random() < self.p_wrong:
            left, right = text.split("=")
            text = f"{left}={(int(right) + 1 + int(rng.integers(98))) % 100}\n\n"
        finish = FinishReason.END_OF_SEQUENCE if "boxed" in text else FinishReason.SEPARATOR
        return Step(text, tuple(range(self.tokens + int(rng.integers(3)))), 5, finish)


class Doubter:
    identity = "prm"

    async def score(self, prefix, step) -> Score:
        return Score(prefix.extend(step).digest[0] / 256, 5)


@pytest.fixture(scope="module")
def trees() -> RolloutTrees:
    import random

    family = ArithmeticFamily(min_steps=3, max_steps=4, p_spelled_out=0)
    problems = list(itertools.islice(draw_problems("arith", family, random.Random(3)), 25))
    pair = ModelPair(Arithmetician("weak", 0.4, 8), Arithmetician("strong", 0.05, 8), Doubter())
    return RolloutTrees(problems, 2, 30, lambda answer, problem: (answer == problem.answer,) * 2, pair)


def test_no_policy_is_better_than_the_optimum(trees: RolloutTrees) -> None:
    trees.grow_fully(100_000)
    assert trees.complete().all()
    for price in (0.0, 0.01, 0.05, 0.12):
        best = best_actions(trees, price, np.ones(len(trees), dtype=bool))
        rollout = roll_out(trees, LookUp(best))
        correct = trees.nodes["correct"][rollout.last, rollout.action]
        reached = correct - price * rollout.strong_tokens
        for tree, root in enumerate(trees.roots().tolist()):
            returns = []

            def descend(node: int, spent: int, returns=returns, price=price) -> None:
                for action in (KEEP, REGENERATE):
                    cost = spent + action * int(trees.nodes["tokens"][node, action])
                    if trees.nodes["final"][node, action]:
                        returns.append(trees.nodes["correct"][node, action] - price * cost)
                    else:
                        descend(int(trees.nodes["child"][node, action]), cost)

            descend(root, 0)
            assert reached[tree] == pytest.approx(max(returns))


def test_exploring_where_it_is_right_loses_nothing_here(trees: RolloutTrees) -> None:
    small = RolloutTrees(trees.problems, 2, 30, trees._judge, trees.pair)
    right = grow_where_right(small)
    trees.grow_fully(100_000)
    assert len(small) < len(trees)
    for price in (0.01, 0.05):
        returns = []
        for grown, allowed in ((small, right), (trees, np.ones(len(trees), dtype=bool))):
            best = best_actions(grown, price, allowed)
            rollout = roll_out(grown, LookUp(best))
            returns.append(grown.nodes["correct"][rollout.last, rollout.action] - price * rollout.strong_tokens)
        assert returns[0].mean() == pytest.approx(returns[1].mean(), abs=0.01)  # but for answers that merge


def test_the_table_of_the_optimum(trees: RolloutTrees) -> None:
    table = optimum_table(trees, [0.5, 4.0])
    fresh = RolloutTrees(trees.problems, 2, 30, trees._judge, trees.pair)
    assert optimum_table(fresh, [0.5, 4.0]).equals(table)  # whatever was explored before
    assert set(table["router"]) == {"perfect-information"}
    means = table.groupby("operating_point")[["correct", "strong_tokens"]].mean()
    weak = outcomes(trees, roll_out(trees, WeakOnly()))[0].mean()
    strong, full = (values.mean() for values in outcomes(trees, roll_out(trees, StrongOnly())))
    assert means.loc[0.5, "correct"] >= max(weak, strong)
    assert means.loc[0.5, "strong_tokens"] < 0.6 * full
    assert weak <= means.loc[4.0, "correct"] <= means.loc[0.5, "correct"]
    assert means.loc[4.0, "strong_tokens"] <= means.loc[0.5, "strong_tokens"]


def test_the_oracle_regenerates_the_first_error_alone(trees: RolloutTrees) -> None:
    table = first_error_table(trees)
    assert (table["prm_calls"] == 0).all() and (table["weak_calls"] == table["steps"]).all()
    small = RolloutTrees(trees.problems, 2, 30, trees._judge, trees.pair)
    assert first_error_table(small).equals(table)  # whatever was explored before
    regenerated = kept_errors = 0
    for row in table.itertuples():
        (problem,) = (p for p in trees.problems if p.id == row.problem_id)
        node, steps = int(trees.roots()[trees.problems.index(problem) * 2 + row.replicate]), []
        for author in row.authors:
            right = all(step_labels(problem.text, steps))
            wrong = not step_is_valid(problem.text, steps, trees.text(node, KEEP))
            assert (author == "s") == (right and wrong)
            regenerated += author == "s"
            kept_errors += wrong and not right
            action = REGENERATE if author == "s" else KEEP
            steps.append(trees.text(node, action))
            node = int(trees.nodes["child"][node, action])
    assert regenerated > 5 and (kept_errors > 0 or table["correct"].mean() < 1)


def test_labels_of_nodes_are_those_of_their_texts(trees: RolloutTrees) -> None:
    trees.grow_fully(100_000)
    labels, lowest = label_nodes(trees), lowest_before(trees)
    for node in range(0, len(trees), 7):
        steps = list(trees.prefix(node).steps)
        text = trees.problem(int(trees.nodes["root"][node])).text
        assert labels.prefix[node] == all(step_labels(text, steps))
        for action in (KEEP, REGENERATE):
            assert labels.step[node, action] == step_labels(text, [*steps, trees.text(node, action)])[-1]
        path = []
        at = node
        while trees.nodes["parent"][at] >= 0:
            parent = int(trees.nodes["parent"][at])
            action = KEEP if trees.nodes["child"][parent, KEEP] == at else REGENERATE
            path.append(trees.nodes["score"][parent, action])
            at = parent
        assert lowest[node] == min([1.0, *path])
    assert {0, 1, 2} == set(labels.states(KEEP)) and labels.step[:, REGENERATE].mean() > labels.step[:, KEEP].mean()


def test_labels_by_score_and_what_is_observed_of_solutions(trees: RolloutTrees) -> None:
    trees.grow_fully(100_000)
    labels, lowest = label_by_score(trees, 0.35), lowest_before(trees)
    scores = trees.nodes["score"]
    assert (labels.step[:, KEEP] == (scores[:, KEEP] >= 0.35)).all()
    assert labels.step[np.isnan(scores[:, REGENERATE]), REGENERATE].all()
    assert (labels.prefix == (lowest >= 0.35)).all()

    rows = [("a", 0, 0.9, True), ("a", 1, 0.4, True), ("a", 2, 0.2, False), ("a", 3, 0.7, None), ("b", 0, 0.3, False)]
    steps = pd.DataFrame(rows, columns=["problem_id", "position", "score", "valid"])
    steps = steps.assign(behaviour="x", replicate=0).sample(frac=1, random_state=1)
    seen = observe_solutions(steps)
    assert seen.scores.tolist() == [0.9, 0.4, 0.2, 0.7, 0.3]
    assert seen.states.tolist() == [0, 0, 2, 1, 2]
    assert seen.minima.tolist() == [1, 0.9, 0.4, 0.2, 1]


def test_a_sweep_reaches_over_the_shares_it_can() -> None:
    shares = np.linspace(0.9, 0.0, 901)
    picked = spread_over(shares, 26)
    reached = shares[picked]
    assert (np.diff(reached) > 0).all() and (np.diff(reached) < 0.051).all()
    assert reached[0] <= 0.02 and reached[-1] == pytest.approx(HIGHEST_SHARE)
    assert spread_over(np.zeros(5), 18) == [0]
    assert spread_over(np.array([0.3, 0.3, 0.0]), 4) == [0] or spread_over(np.array([0.3, 0.3, 0.0]), 4) == [1]


def test_kappas_are_laid_by_their_shares_on_dev(trees: RolloutTrees) -> None:
    def build(kappa: float) -> SimpleNamespace:
        return SimpleNamespace(decide=lambda seen: doubt(seen) > kappa, wants_drafts=np.ones_like, reads=Reads.HISTORY)

    def doubt(seen: Observed) -> np.ndarray:
        return 1 - seen.score

    kappas = [float(k) for k in np.linspace(0, 1.01, 40)]
    laid = choose_kappas(build, kappas, trees, 6)
    alone = outcomes(trees, roll_out(trees, StrongOnly()))[1].sum()
    shares = [outcomes(trees, roll_out(trees, build(kappa)))[1].sum() / alone for kappa in laid]
    assert set(laid) <= set(kappas) and 3 <= len(laid) <= 6
    assert shares == sorted(shares) and shares[0] > 0
