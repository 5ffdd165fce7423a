"""Exact Q values of small POMDPs, from pomdp-py's tree of all beliefs: what our solver and POUCT are held against."""

from pomdp_py.algorithms.value_function import qvalue

from trim.checks.export import draft_state, flatten, to_agent
from trim.routers.pomdp.belief import Belief
from trim.routers.pomdp.model import PomdpModel


def tree_values(
    model: PomdpModel, cost: float, position: int, belief: Belief, count: int, final: bool
) -> tuple[float, float]:
    """Return the Q values of keep and regenerate.

    Parameters
    ----------
    belief
        About the draft, its score seen.
    count
        Index into the token counts.
    """
    agent = to_agent(flatten(model, cost))
    states = list(agent.all_states)
    start = dict.fromkeys(states, 0.0)
    for state, probability in enumerate(belief):
        start[states[draft_state(model, position, state, final, count)]] = float(probability)
    parts = (agent.transition_model, agent.observation_model, agent.reward_model)
    actions, observations = list(agent.all_actions), list(agent.all_observations)
    horizon = model.max_steps - position
    keep, regenerate = (
        qvalue(start, action, states, actions, observations, *parts, 1.0, horizon=horizon) for action in actions
    )
    return keep, regenerate
