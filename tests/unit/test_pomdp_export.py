"""The same POMDP through pomdp-py: exact Q values, files, an external solver."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from pomdp_models import random_model
from pomdp_tree import tree_values

from trim.checks.export import flatten, sarsop_value, write_pomdp, write_pomdpx
from trim.errors import InputError
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.policy import regeneration_gain
from trim.routers.pomdp.solver import solve

COST = 0.02


def flat_value(model: PomdpModel, cost: float) -> float:
    """Value of the beginning, by enumerating beliefs over the flat arrays, which know nothing of the reduction."""
    flat = flatten(model, cost)

    def value(belief: np.ndarray, horizon: int) -> float:
        if horizon == 0 or belief[1] == belief.sum():
            return 0.0
        best = -np.inf
        for action in (0, 1):
            after = belief @ flat.transition[action]
            joint = after[:, None] * flat.emission[action]
            seen = joint[:, joint.sum(0) > 0].T
            best = max(best, belief @ flat.reward[action] + sum(value(b, horizon - 1) for b in seen))
        return best

    return value(np.eye(len(flat.states))[0], model.max_steps + 1)


@pytest.mark.parametrize("strong_scores", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_flat_pomdp_has_our_value(seed: int, strong_scores: bool) -> None:
    model = random_model(np.random.default_rng(seed), bins=2, steps=3, strong_scores=strong_scores)
    solution = solve(model, [COST], 2000)
    assert flat_value(model, COST) == pytest.approx(solution.upper[0, 0, -1], abs=1e-6 + solution.gap.max())
    assert solution.gap.max() < 1e-4


CASES = [  # bins, steps, token counts, strong scores, position
    (2, 2, (5,), False, 0),
    (2, 2, (3, 9), True, 0),
    (4, 2, (3,), True, 0),
    (3, 3, (4,), False, 1),
    (2, 3, (4,), False, 0),
]


@pytest.mark.parametrize("case", CASES)
def test_q_values_agree_with_the_tree_of_pomdp_py(case: tuple) -> None:
    bins, steps, tokens, strong_scores, position = case
    model = random_model(np.random.default_rng(steps), bins, steps, tokens, strong_scores=strong_scores)
    values = solve(model, [COST], 20_000).upper[0]
    for final, draft in ((False, (0.5, 0.2, 0.3)), (False, (0.1, 0.1, 0.8)), (True, (0.6, 0.1, 0.3))):
        keep, regenerate = tree_values(model, COST, position, draft, len(tokens) - 1, final)
        one = tuple(np.array([share]) for share in draft)
        (gain,) = regeneration_gain(model, values, COST, np.array([position]), one, tokens[-1], final)
        assert gain == pytest.approx(regenerate - keep, abs=1e-6)
        ahead = (
            model.reward * draft[0] if final else np.interp(draft[0], np.linspace(0, 1, 20_001), values[position + 1])
        )
        assert keep == pytest.approx(ahead, abs=1e-6)


def test_a_pomdp_file_holds_the_model(tmp_path: Path) -> None:
    model = random_model(np.random.default_rng(0), bins=2, steps=2, tokens=(3,))
    flat = flatten(model, COST)
    path = tmp_path / "model.pomdp"
    write_pomdp(model, COST, path)
    text = path.read_text()
    assert re.search(r"^states: (.*)$", text, re.M)[1].split() == list(flat.states)
    assert re.search(r"^start: (.*)$", text, re.M)[1].split() == ["1.000000000"] + ["0.000000000"] * (
        len(flat.states) - 1
    )
    entries = re.findall(r"^T : (\S+) : (\S+) : (\S+) (\S+)$", text, re.M)
    read = np.array([float(entry[3]) for entry in entries]).reshape(len(flat.states), 2, -1)
    assert read == pytest.approx(np.moveaxis(flat.transition, 0, 1), abs=1e-8)
    entries = re.findall(r"^O : \S+ : \S+ : \S+ (\S+)$", text, re.M)
    read = np.array(entries, dtype=float).reshape(len(flat.states), 2, -1)
    assert read == pytest.approx(np.moveaxis(flat.emission, 0, 1), abs=1e-8)
    entries = re.findall(r"^R : \S+ : \S+ : \S+ : \*  (\S+)$", text, re.M)
    read = np.array(entries, dtype=float).reshape(len(flat.states), 2, -1)
    assert read == pytest.approx(np.broadcast_to(flat.reward.T[..., None], read.shape), abs=1e-8)


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(0o755)
    return path


def test_a_pomdpx_file_comes_from_the_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(np.random.default_rng(1), bins=2, steps=2, tokens=(3,))
    converter = script(
        tmp_path / "pomdpconvert",
        "import sys, pathlib\n"
        "source = pathlib.Path(sys.argv[1])\n"
        "source.with_suffix('.pomdpx').write_text('<pomdpx>' + source.read_text()[:9] + '</pomdpx>')\n",
    )
    monkeypatch.chdir(tmp_path)
    write_pomdpx(model, COST, "model.pomdpx", converter)
    assert Path("model.pomdpx").read_text() == "<pomdpx>discount:</pomdpx>"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.pomdpx", "pomdpconvert"]
    with pytest.raises(InputError, match="nowhere: no such program; build it from SARSOP's sources"):
        write_pomdpx(model, COST, "model.pomdpx", "nowhere")
    with pytest.raises(InputError, match="nowhere: no such program"):
        sarsop_value(model, COST, "nowhere")


def test_the_value_of_a_sarsop_policy_is_that_of_its_best_vector(tmp_path: Path) -> None:
    model = random_model(np.random.default_rng(2), bins=2, steps=2, tokens=(3,))
    states = len(flatten(model, COST).states)
    vectors = "".join(
        f"<Vector action='0' obsValue='0'>{value} {'9 ' * (states - 1)}</Vector>" for value in (0.25, 0.5)
    )
    solver = script(
        tmp_path / "pomdpsol",
        "import sys, pathlib\n"
        "assert pathlib.Path(sys.argv[-1]).read_text().startswith('discount:')\n"
        f'policy = "<Policy><AlphaVector>{vectors}</AlphaVector></Policy>"\n'
        "pathlib.Path(sys.argv[sys.argv.index('--output') + 1]).write_text(policy)\n",
    )
    assert sarsop_value(model, COST, solver) == 0.5  # of the beginning, the first state
    with pytest.raises(InputError, match="failing: left no policy"):
        sarsop_value(model, COST, script(tmp_path / "failing", "raise SystemExit(1)\n"))
