"""Which PRM of kind `value` to take: candidates compared on prm_train by cross-validation over problems.

    python benchmarks/prm_candidates.py OVERLAY [OVERLAY ...] [--backbone weak] [--layers 8 12 16 20] --out table.csv

Needs the rollouts of prm_train of an experiment whose pair runs in process. One reading of them serves all candidates:
the log-probabilities of a step's tokens, the equations in it, the hidden state at its end after each layer, and all of
them. AUCs and calibration are of solutions of the weak model alone, predicted from other problems, against their final
answers, with intervals over problems. Beside them stand scores that nothing was fitted for. No test problem is read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from trim.arrays import Floats
from trim.config.experiment import Bootstrap, Experiment
from trim.config.models import GgufModel, PretrainedModel
from trim.config.reading import read_experiment
from trim.evaluation.prm_outcomes import prm_outcomes
from trim.files import read_parquet
from trim.layouts import SOLUTION_KEYS, STEPS
from trim.models.opening import fetch_gguf
from trim.models.prm_kinds import Trace
from trim.models.prompts import PrefixTokenizer
from trim.models.ragged import RaggedReader
from trim.models.store import StepStore
from trim.models.transformers_backend import load_model
from trim.models.value_prm import PARTS, Readings, predict_folds, read_traces
from trim.problems.problem import read_problems

FEATURES = PARTS["hidden"].start
MEASURES = {
    "AUC of the step score": "step_auc",
    "AUC of the minimum score": "minimum_auc",
    "AUC of the mean score": "mean_auc",
    "AUC of the last score": "last_auc",
    "ECE of the step score": "step_ece",
}


def read_rollouts(experiment: Experiment, root: Path) -> list[Trace]:
    """Return the solutions of prm_train of the weak model, alone and mixed with the strong one."""
    results, main = root / experiment.results, experiment.main_dataset
    texts = {p.id: p.text for p in read_problems(results / f"problems/{main}/prm_train.jsonl")}
    steps = read_parquet(results / f"rollouts/{main}.prm_train.parquet", STEPS)
    return [
        Trace(texts[problem], tuple(own["text"]), (), bool(own["correct"].iloc[0]), behaviour)
        for (behaviour, problem, _), own in steps.groupby(SOLUTION_KEYS, sort=True)
        if behaviour != "strong-only"
    ]


def open_reader(experiment: Experiment, backbone: str, layers: list[int], root: Path) -> RaggedReader:
    """Load a language model of the pair."""
    spec, store = getattr(experiment.pair, backbone), StepStore(root / experiment.step_store, "")
    assert isinstance(spec, GgufModel | PretrainedModel), f"pair.{backbone} does not run in process"
    name = fetch_gguf(spec, store) if isinstance(spec, GgufModel) else spec.name
    model, tokenizer = load_model(name, offline=Path(name).is_dir(), dtype=spec.dtype)
    room = {"batch_size": experiment.pair.batch_size, "cache_bytes": experiment.pair.cache_mb << 20}
    prompts = PrefixTokenizer(tokenizer, system=spec.system)
    return RaggedReader(model, prompts, **room, outputs="likelihood", hidden_layers=[layer - 1 for layer in layers])


def candidates(readings: Readings, layers: list[int]) -> Iterator[tuple[str, int | None, np.ndarray]]:
    """Yield what is read, the layer, and the columns."""
    size = (readings.rows.shape[1] - FEATURES) // len(layers)
    told = np.arange(FEATURES)
    yield "likelihood", None, told[PARTS["likelihood"]]
    yield "arithmetic", None, told[PARTS["arithmetic"]]
    yield "likelihood+arithmetic", None, told
    for place, layer in enumerate(layers):
        hidden = FEATURES + place * size + np.arange(size)
        yield "hidden", layer, hidden
        yield "likelihood+arithmetic+hidden", layer, np.concatenate([told, hidden])


def quality(values: Floats, readings: Readings, traces: list[Trace], settings: Bootstrap) -> dict[str, float]:
    """Hold scores of the weak model's solutions against their final answers."""
    steps = pd.DataFrame(
        {
            "behaviour": [traces[index].behaviour for index in readings.trace],
            "problem_id": [traces[index].problem for index in readings.trace],
            "replicate": 0,
            "score": values,
            "correct": readings.correct,
        }
    )
    steps["position"] = steps.groupby(readings.trace).cumcount()
    found = prm_outcomes(steps[steps["behaviour"] == "weak-only"], settings, "prm candidates")
    row = {}
    for measure, name in MEASURES.items():
        own = found[(found["behaviour"] == "weak-only") & (found["measure"] == measure)].iloc[0]
        row |= {name: own["value"], f"{name}_lo": own["value_lo"], f"{name}_hi": own["value_hi"]}
    return row


def main() -> None:
    """Read, compare, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overlays", nargs="+", type=Path)
    parser.add_argument("--backbone", choices=("weak", "strong"), default="weak")
    parser.add_argument("--layers", nargs="+", type=int, default=[8, 12, 16, 20])
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    root, begun = Path.cwd(), time.process_time()
    experiment = read_experiment(root, asked.overlays)
    traces = read_rollouts(experiment, root)
    reader = open_reader(experiment, asked.backbone, asked.layers, root)
    readings = read_traces(traces, reader, lambda done, of: print(f"{done} of {of} solutions read", flush=True))
    head = {"backbone": asked.backbone, "solutions": len(traces), "steps": len(readings.rows)}
    # Nothing fitted: the square roots stand for the least and the mean log-probability, in their order.
    plain = {"least likely token": readings.rows[:, 0], "mean log-probability": readings.rows[:, 1]}
    rows = [
        {**head, "reads": name, **quality(1 / (1 + np.exp(-values)), readings, traces, experiment.bootstrap)}
        for name, values in plain.items()
    ]
    for name, layer, columns in candidates(readings, asked.layers):
        strength, loss, values = predict_folds(readings, columns)
        row = {**head, "reads": name, "layer": layer, "strength": strength, "loss": loss}
        rows.append(row | quality(values, readings, traces, experiment.bootstrap))
        print(name, layer, f"loss {loss:.4f}", f"AUC of the minimum {rows[-1]['minimum_auc']:.3f}", flush=True)
    pd.DataFrame(rows).to_csv(asked.out, index=False, float_format="%.4f", lineterminator="\n")
    print(f"{asked.out}: {time.process_time() - begun:.0f} CPU s")


if __name__ == "__main__":
    main()
