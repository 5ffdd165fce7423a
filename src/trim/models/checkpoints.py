"""Trained models in the step store: whoever was handed them, with the settings that decide them, need not train."""

from __future__ import annotations

from typing import Any

from trim import __version__
from trim.config.experiment import Experiment

PRM_FOLDER = "prm-"
"""What the name of a PRM's folder begins with; those of language models are the names of their roles."""


def checkpoint_facts(experiment: Experiment, name: str, version: int) -> dict[str, Any]:
    """Return the settings that decide a model which the pipeline trains, as JSON has them.

    Settings, and not what they lead to: rollouts that a PRM learns from may differ in the last bit from one kind of
    CPU to another.

    Parameters
    ----------
    name
        Its folder under `models/`.
    version
        Of the stage that trains it.
    """
    pair, main = experiment.pair, experiment.datasets[experiment.main_dataset]
    facts = {
        "name": name,
        "code": __version__,
        "version": version,
        "seed": experiment.seed,
        "families": {
            family: experiment.datasets[family].model_dump(mode="json", exclude={"sizes"})
            for family in experiment.training_mix
        },
        "mix": dict(experiment.training_mix),
        "main_dataset": main.model_dump(mode="json", exclude={"sizes": {"router_train", "test"}}),
        "sampling": experiment.sampling.model_dump(mode="json"),
    }
    if not name.startswith(PRM_FOLDER):
        return facts | {"model": getattr(pair, name).model_dump(mode="json")}
    return facts | {
        "prm": experiment.prms[name.removeprefix(PRM_FOLDER)].model_dump(mode="json"),
        "pair": pair.model_dump(mode="json", include={"weak", "strong", "device", "batch_size"}),
        "rollouts": [experiment.max_steps, experiment.long_steps, experiment.replicates.train],
    }
