"""What figures say where steps have no labels: what stands in for these, and where routers are compared."""

from __future__ import annotations

from typing import Any

from trim.config.experiment import Experiment


def known_of_oracles(experiment: Experiment, dataset: str) -> str:
    """Say what oracles know on a dataset, where that is not the truth of its steps."""
    if experiment.labelled(dataset):
        return ""
    return (
        "Here steps have no labels, and perfect information knows explored continuations alone: it is a lower bound of "
        "what a router that sees all futures could reach. The better-step oracle regenerates where the explored "
        "continuations of the strong model's step end right more often than those of the draft."
    )


def compared_prms(experiment: Experiment) -> dict[str, Any]:
    """Return where routers are compared by PRM, and by what a PRM is judged if not by the labels of steps."""
    settings = {"dataset": experiment.compared_on}
    if experiment.labelled(experiment.main_dataset):
        return settings
    return settings | {"measure_of": "AUC of the lowest score against the final answer"}


def judged_by_answers(experiment: Experiment, dataset: str) -> str:
    """Say where routers are compared by PRM if not on the main dataset, and by what a PRM is judged without labels."""
    said = []
    if experiment.compared_on != experiment.main_dataset:
        said.append(f"The main dataset has no test problems of its own: those of {experiment.compared_on} are solved.")
    if not experiment.labelled(experiment.main_dataset):
        said.append(
            "Steps have no labels: AUCs are of the lowest score of the weak model's solutions, for a right answer."
        )
    return " ".join(said)
