"""Routing as a reinforcement-learning environment (paper, section 3).

An observation after each draft and its score, the action keep or regenerate, the reward
- lambda x strong tokens when regenerating, and + 1 at the end of a right solution.
lambda is kappa divided by the strong model's mean tokens per solution.

`Routing` runs many episodes side by side; `TrimVecEnv` shows it to stable-baselines3 and
`TrimEnv` one episode of it to whoever speaks Gymnasium.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from trim.arrays import Booleans, Floats, Integers, Singles
from trim.rollout.history import Drafts, Histories, Observed, Outcome
from trim.rollout.trees import REGENERATE, RolloutTrees


class World(Protocol):
    """Where drafts come from: solutions that grow side by side, one in each environment."""

    n_envs: int
    max_steps: int

    def start(self, which: Integers) -> None:
        """Begin new episodes in some environments."""
        ...

    def drafts(self) -> Drafts:
        """Return the drafts that wait for a decision."""
        ...

    def act(self, regenerate: Booleans) -> Outcome:
        """Keep each draft or have its step regenerated; the outcome says what was done."""
        ...


class Encoder(Protocol):
    """What a router makes of a history: the observation of its policy."""

    @property
    def size(self) -> int:
        """Length of an observation."""
        ...

    def encode(self, observed: Observed, kappa: Floats) -> Singles:
        """Return observations, shape (n, size), of n histories at trade-offs kappa (n,)."""
        ...


class TreesWorld:
    """Solutions that are paths in rollout trees; episodes start at trees drawn at random."""

    def __init__(self, trees: RolloutTrees, n_envs: int, rng: np.random.Generator) -> None:
        self.n_envs = n_envs
        self.max_steps = trees.max_steps
        self._trees = trees
        self._rng = rng
        self._node = np.zeros(n_envs, dtype=np.int64)
        self.timesteps = self.known_timesteps = self.answered_otherwise = 0

    def start(self, which: Integers) -> None:
        """Begin new episodes in some environments."""
        self._node[which] = self._rng.choice(self._trees.roots(), size=len(which))

    def drafts(self) -> Drafts:
        """Return the drafts at the nodes where the environments are."""
        return self._trees.drafts(self._node)

    def act(self, regenerate: Booleans) -> Outcome:
        """Go where the actions lead that are possible; environments whose episode ended wait for `start`."""
        asked = regenerate.astype(np.int64)
        actions = self._trees.possible(self._node, asked)
        self.timesteps += self.n_envs
        self.known_timesteps += int(self._trees.knows(self._node, asked).sum())
        self.answered_otherwise += int((actions != asked).sum())
        children = self._trees.follow(self._node, actions)
        outcome = self._trees.outcome(self._node, actions == REGENERATE, children)
        self._node = np.where(outcome.ended, self._node, children)
        return outcome

    def shares(self) -> dict[str, float]:
        """Return the share of decisions whose outcome was known, and in closed trees of those answered otherwise."""
        counts = {"known_timesteps": self.known_timesteps}
        if self._trees.closed:
            counts["answered_otherwise"] = self.answered_otherwise
        return {name: count / max(self.timesteps, 1) for name, count in counts.items()}


class Routing:
    """Episodes of a world as observations and rewards; an environment whose episode ends begins the next one.

    Parameters
    ----------
    world
        Where drafts come from.
    encoder
        What a router makes of a history.
    draw_kappas
        Draws the trade-offs of that many new episodes.
    tokens_per_solution
        Mean tokens of a solution of the strong model; kappa divided by it is the price of a strong token.
    """

    def __init__(
        self,
        world: World,
        encoder: Encoder,
        draw_kappas: Callable[[int], Floats],
        tokens_per_solution: float,
    ) -> None:
        self.n_envs = world.n_envs
        self.encoder = encoder
        self._world = world
        self._draw_kappas = draw_kappas
        self._tokens_per_solution = tokens_per_solution
        self._kappa = np.ones(world.n_envs)
        self._histories = Histories(world.n_envs, world.max_steps)

    def reset(self) -> Singles:
        """Begin an episode in every environment."""
        self._begin(np.arange(self.n_envs))
        return self._observe()

    def step(self, regenerate: Booleans) -> tuple[Singles, Singles, Booleans]:
        """Decide in every environment; return the next observations, the rewards and where an episode ended.

        Histories and rewards are of what the world did, whatever it was asked for.
        """
        outcome = self._world.act(regenerate)
        self._histories.keep(outcome)
        price = self._kappa / self._tokens_per_solution
        rewards = (outcome.correct - price * outcome.strong_tokens).astype(np.float32)
        if outcome.ended.any():
            self._begin(np.flatnonzero(outcome.ended))
        return self._observe(), rewards, outcome.ended

    def _begin(self, which: Integers) -> None:
        self._world.start(which)
        self._kappa[which] = self._draw_kappas(len(which))

    def _observe(self) -> Singles:
        self._histories.draft(self._world.drafts())
        return self.encoder.encode(self._histories.observed(), self._kappa)


def spaces(size: int) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Discrete[Any]]:
    """Return the spaces of observations and actions (0 keep, 1 regenerate)."""
    return gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32), gymnasium.spaces.Discrete(2)


class TrimVecEnv(VecEnv):
    """`Routing` as stable-baselines3 sees it."""

    def __init__(self, routing: Routing) -> None:
        super().__init__(routing.n_envs, *spaces(routing.encoder.size))
        self._routing = routing
        self._infos: list[dict[str, Any]] = [{} for _ in range(routing.n_envs)]

    def reset(self) -> Singles:
        """Begin an episode in every environment."""
        return self._routing.reset()

    def step_async(self, actions: Integers) -> None:
        """Take the actions of all environments."""
        self._actions = actions

    def step_wait(self) -> Any:
        """Return observations, rewards, ends and (empty) notes of all environments."""
        return *self._routing.step(self._actions.astype(bool)), self._infos

    def close(self) -> None:
        """Nothing is held."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute for each environment; all share it."""
        return [getattr(self, attr_name, None)] * len(self._indices_of(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: environments are no objects of their own."""
        raise AttributeError(
            f"the environments of a TrimVecEnv have no attributes of their own, so none called {attr_name}"
        )

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refuse: environments are no objects of their own."""
        raise AttributeError(
            f"the environments of a TrimVecEnv have no methods of their own, so none called {method_name}"
        )

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Environments are not wrapped."""
        return [False] * len(self._indices_of(indices))

    def _indices_of(self, indices: Any) -> Sequence[int]:
        return list(self._get_indices(indices))


class TrimEnv(gymnasium.Env[Any, Any]):
    """One episode at a time of a `Routing` with a single environment."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(self, make_routing: Callable[[int | None], Routing]) -> None:
        self._make_routing = make_routing
        self._routing = make_routing(None)
        if self._routing.n_envs != 1:
            raise ValueError(f"one environment is one episode at a time, not {self._routing.n_envs}")
        self.observation_space, self.action_space = spaces(self._routing.encoder.size)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Singles, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        if seed is not None:
            self._routing = self._make_routing(seed)
        return self._routing.reset()[0], {}

    def step(self, action: np.int64) -> tuple[Singles, float, bool, bool, dict[str, Any]]:
        """Keep (0) or regenerate (1)."""
        observations, rewards, ended = self._routing.step(np.array([action == 1]))
        return observations[0], float(rewards[0]), bool(ended[0]), False, {}
