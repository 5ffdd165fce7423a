"""The same POMDP for other people's solvers, through pomdp-py: .pomdp and .pomdpx files, SARSOP.

Here a state is (position, state of the draft, final?, token count), so that a flat solver sees what the draft
shows. A fourth state of a draft, "broken", is S1 just after the strong model's step was the wrong one: that
step's score is seen together with the next draft. All episodes start in "begin", where both actions draft.
"""

from __future__ import annotations

from contextlib import chdir
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.arrays import Floats
from trim.errors import InputError
from trim.routers.pomdp.model import PomdpModel

if TYPE_CHECKING:
    import pomdp_py


ACTIONS = ("keep", "regenerate")
RIGHT, EARLIER, LAST, BROKEN = range(4)
BEGIN, END = 0, 1
"""Indices of the two states without a draft."""
DISCOUNT = 0.999999
"""All but none: the model itself discounts nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class FlatPomdp:
    """A POMDP as dense arrays.

    Attributes
    ----------
    states, observations
        Names, without blanks.
    transition
        Shape (A, S, S); P(next state | state) by action.
    emission
        Shape (A, S, Z); P(observation | next state) by action.
    reward
        Shape (A, S); expected reward.
    """

    states: tuple[str, ...]
    observations: tuple[str, ...]
    transition: Floats
    emission: Floats
    reward: Floats


def draft_state(model: PomdpModel, position: int, state: int, final: bool, count: int) -> int:
    """Return the index of a state with a draft; `count` is an index into the token counts."""
    counts = len(model.transition.tokens)
    return 2 + ((position * 4 + state) * 2 + int(final)) * counts + count


def flatten(model: PomdpModel, cost: float) -> FlatPomdp:
    """Write the model as one flat POMDP.

    Parameters
    ----------
    cost
        Of a token, in units of the reward.
    """
    steps, observation = model.transition, model.observation
    ends, counts = (False, True), range(len(steps.tokens))
    drafts = list(product(range(model.max_steps), range(4), ends, counts))
    symbols = list(product(range(len(observation.draft)), range(len(observation.strong)), ends, counts))
    transition = np.zeros((2, len(drafts) + 2, len(drafts) + 2))
    emission = np.zeros((2, len(drafts) + 2, len(symbols) + 1))
    reward = np.zeros((2, len(drafts) + 2))
    transition[:, END, END] = 1
    emission[:, :2, -1] = 1

    def draft_next(row: Floats, position: int, right: float, earlier: float, broken: float) -> None:
        """Add what is drafted at a position, after a step that left the prefix right, wrong, or broke it."""
        accuracy, hazard = steps.weak_accuracy[position], steps.hazard[position]
        shares = {RIGHT: right * accuracy, LAST: right * (1 - accuracy), EARLIER: earlier, BROKEN: broken}
        for (state, share), final, count in product(shares.items(), ends, counts):
            weight = (hazard if final else 1 - hazard) * steps.token_weights[count]
            row[draft_state(model, position, state, final, count)] += share * weight

    for action in (0, 1):
        draft_next(transition[action, BEGIN], 0, 1.0, 0.0, 0.0)
        for index, (position, state, final, count) in enumerate(drafts, start=2):
            if action == 0:
                right, earlier = float(state == RIGHT), float(state != RIGHT)
            else:
                right = {RIGHT: steps.strong_if_right, LAST: steps.strong_if_wrong}.get(state, 0.0)
                earlier = float(state in (EARLIER, BROKEN))
                reward[action, index] -= cost * steps.tokens[count]
            if final or position == model.max_steps - 1:
                reward[action, index] += model.reward * right
                transition[action, index, END] = 1
            else:
                draft_next(transition[action, index], position + 1, right, earlier, 1 - right - earlier)
            draft = observation.draft[:, EARLIER if state == BROKEN else state]
            strong = observation.strong[:, {EARLIER: 1, BROKEN: 2}.get(state, 0)]
            if action == 0:
                strong = np.eye(len(strong))[0]  # nothing was written again: always the same symbol
            seen = np.zeros((len(draft), len(strong), 2, len(counts)))
            seen[:, :, int(final), count] = np.outer(draft, strong)
            emission[action, index, :-1] = seen.ravel()
    names = ("right", "earlier", "last", "broken")
    return FlatPomdp(
        ("begin", "end", *(f"p{p}-{names[s]}-{'final' if f else 'open'}-t{c}" for p, s, f, c in drafts)),
        (*(f"d{k}-s{o}-{'final' if f else 'open'}-t{c}" for k, o, f, c in symbols), "end"),
        transition,
        emission,
        reward,
    )


def to_agent(flat: FlatPomdp) -> pomdp_py.Agent:
    """Build the pomdp-py agent, whose belief is that nothing has begun."""
    import pomdp_py

    states = [pomdp_py.SimpleState(name) for name in flat.states]
    actions = [pomdp_py.SimpleAction(name) for name in ACTIONS]
    observations = [pomdp_py.SimpleObservation(name) for name in flat.observations]
    state_at, action_at, seen_at = ({x: i for i, x in enumerate(xs)} for xs in (states, actions, observations))

    class Transition(pomdp_py.TransitionModel):  # type: ignore[misc] # pomdp-py carries no types
        def probability(self, next_state: Any, state: Any, action: Any) -> float:
            return float(flat.transition[action_at[action], state_at[state], state_at[next_state]])

        def get_all_states(self) -> list[Any]:
            return states

    class Emission(pomdp_py.ObservationModel):  # type: ignore[misc] # pomdp-py carries no types
        def probability(self, observation: Any, next_state: Any, action: Any) -> float:
            return float(flat.emission[action_at[action], state_at[next_state], seen_at[observation]])

        def get_all_observations(self) -> list[Any]:
            return observations

    class Reward(pomdp_py.RewardModel):  # type: ignore[misc] # pomdp-py carries no types
        def sample(self, state: Any, action: Any, next_state: Any) -> float:
            return float(flat.reward[action_at[action], state_at[state]])

    class Policy(pomdp_py.PolicyModel):  # type: ignore[misc] # pomdp-py carries no types
        def get_all_actions(self, state: Any = None, history: Any = None) -> list[Any]:
            return actions

    belief = pomdp_py.Histogram({state: float(state == states[BEGIN]) for state in states})
    return pomdp_py.Agent(belief, Policy(), Transition(), Emission(), Reward())


def write_pomdp(model: PomdpModel, cost: float, path: str | Path) -> None:
    """Write the model in Cassandra's .pomdp format."""
    import pomdp_py

    pomdp_py.to_pomdp_file(to_agent(flatten(model, cost)), str(path), DISCOUNT)


def write_pomdpx(model: PomdpModel, cost: float, path: str | Path, pomdpconvert: str | Path) -> None:
    """Write the model as .pomdpx, with the converter that comes with SARSOP.

    Raises
    ------
    InputError
        If there is no such converter.
    """
    import pomdp_py

    converter, target = _binary(pomdpconvert), Path(path).resolve()
    with TemporaryDirectory() as scratch, chdir(scratch):  # pomdp-py writes beside where it stands
        pomdp_py.to_pomdpx_file(to_agent(flatten(model, cost)), converter, str(target), DISCOUNT)


def sarsop_value(model: PomdpModel, cost: float, pomdpsol: str | Path, seconds: int = 60) -> float:
    """Return the value of an episode's beginning, as SARSOP's policy has it: a lower bound of ours.

    Raises
    ------
    InputError
        If there is no such solver, or it fails.
    """
    import pomdp_py

    solver, agent = _binary(pomdpsol), to_agent(flatten(model, cost))
    with TemporaryDirectory() as scratch, chdir(scratch):
        try:
            policy = pomdp_py.sarsop(agent, solver, DISCOUNT, seconds, memory=2000, precision=1e-3 * model.reward)
        except FileNotFoundError as error:
            raise InputError(f"{pomdpsol}: left no policy; see what it printed") from error
    return float(policy.value(agent.belief))


def _binary(path: str | Path) -> str:
    if not Path(path).is_file():
        raise InputError(f"{path}: no such program; build it from SARSOP's sources and give its path")
    return str(Path(path).resolve())
