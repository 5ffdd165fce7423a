"""The POMDP of stepwise routing: what is seen, how it goes on, what it pays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trim.arrays import Floats
from trim.errors import InputError
from trim.routers.pomdp.observation import ObservationModel
from trim.routers.pomdp.transition import TransitionModel


@dataclass(frozen=True, eq=False)
class PomdpModel:
    """Observations, transitions, and the reward of a right answer; costs come with the solver.

    Raises
    ------
    InputError
        If the reward is not positive.
    """

    observation: ObservationModel
    transition: TransitionModel
    reward: float = 1.0

    def __post_init__(self) -> None:
        """Check the reward."""
        if not self.reward > 0:
            raise InputError(f"POMDP: the reward of a right answer must be positive, not {self.reward}")

    @property
    def max_steps(self) -> int:
        """Number of steps after which every episode has ended."""
        return self.transition.max_steps

    def joint_probabilities(self, accuracy: float) -> tuple[Floats, Floats]:
        """Return what one step does to the one hidden bit that lasts: whether all kept steps are right.

        Parameters
        ----------
        accuracy
            The weak model's, at this step.

        Returns
        -------
        keep, shape (K, 2, 2)
            P(draft symbol, right after | right before) if the draft is kept; axes: symbol, before, after.
        regenerate, shape (K, K_s, 2, 2)
            P(draft symbol, strong symbol, right after | right before) if it is written again.
        """
        draft, strong = self.observation.draft, self.observation.strong
        right, wrong = accuracy * draft[:, 0], (1 - accuracy) * draft[:, 2]
        keep = np.zeros((len(draft), 2, 2))
        keep[:, 0, 0] = draft[:, 1]
        keep[:, 1, 0] = wrong
        keep[:, 1, 1] = right
        fixed = self.transition.strong_if_right * right + self.transition.strong_if_wrong * wrong
        regenerate = np.zeros((len(draft), len(strong), 2, 2))
        regenerate[:, :, 0, 0] = np.outer(draft[:, 1], strong[:, 1])
        regenerate[:, :, 1, 0] = np.outer(right + wrong - fixed, strong[:, 2])
        regenerate[:, :, 1, 1] = np.outer(fixed, strong[:, 0])
        return keep, regenerate
