"""Rollout trees of a POMDP: both futures of every draft, drawn as the simulator draws one of them."""

import numpy as np
import pandas as pd

from trim.problems.problem import Problem
from trim.rollout.trees import ENDS, UNKNOWN, RolloutTrees
from trim.routers.pomdp.model import PomdpModel


def simulated_trees(model: PomdpModel, count: int, seed: int) -> RolloutTrees:
    """Grow whole trees of that many problems, without texts."""
    rng, levels, start = np.random.default_rng(seed), [], 0
    root, right, parent = np.arange(count), np.ones(count, bool), np.full(count, UNKNOWN)
    for position in range(model.max_steps):
        level, steps = _level(model, rng, position, right)
        going = np.flatnonzero(~level["final_draft"])
        number = np.full(len(root), ENDS)
        number[going] = np.arange(len(going))
        behind, start = start + len(root), start
        for action, who in enumerate(("draft", "strong")):
            level[f"child_{who}"] = np.where(number >= 0, behind + number + action * len(going), ENDS)
        levels.append(pd.DataFrame({**level, "root": root, "parent": parent, "position": position}))
        parent = np.tile(start + going, 2)
        root, right, start = np.tile(root[going], 2), np.concatenate([s[going] for s in steps]), behind
    table = pd.concat(levels, ignore_index=True)
    table["problem_id"] = [f"p-{i}" for i in table.pop("root")]
    table = table.assign(replicate=0, prm_tokens=0, text_draft="a", text_strong="b", answer_draft=None)
    problems = [Problem(f"p-{i}", "simulated", "", "", "") for i in range(count)]
    trees = RolloutTrees(problems, 1, model.max_steps, lambda answer, problem: (False, False))
    return trees.load(table.assign(answer_strong=None))


def _level(
    model: PomdpModel, rng: np.random.Generator, position: int, right: np.ndarray
) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """Draw what stands at nodes of one depth; and whether all is right behind the draft, and behind the strong step."""
    transition, observation, n = model.transition, model.observation, len(right)
    draft = rng.random(n) < transition.weak_accuracy[position]
    strong = rng.random(n) < np.where(draft, transition.strong_if_right, transition.strong_if_wrong)
    tokens = rng.choice(transition.tokens, n, p=transition.token_weights).astype(int)
    final = rng.random(n) < transition.hazard[position]
    level: dict[str, np.ndarray] = {}
    likelihoods = {"draft": (draft, observation.draft), "strong": (strong, observation.strong)}
    for who, (step, likelihood) in likelihoods.items():
        state = np.where(right, np.where(step, 0, 2), 1)
        symbol = (rng.random(n) > np.cumsum(likelihood[:-1], axis=0)[:, state]).sum(0)
        drawn = {"score": observation.centres[symbol], "tokens": tokens, "prompt_tokens": 0 * tokens, "final": final}
        drawn |= dict.fromkeys(("correct", "correct_strict"), final & right & step)
        level |= {f"{name}_{who}": values for name, values in drawn.items()}
    return level, [right & draft, right & strong]
