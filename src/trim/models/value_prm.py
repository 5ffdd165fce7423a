"""PRMs from rollouts alone: how likely it is that a solution ends right, from what a language model knows of a step.

No step needs a label: each takes the verdict on the final answer of its rollout, so that a score estimates the value of
a prefix under whoever wrote the rollouts. The language model is left as it is; a logistic regression reads the
log-probabilities that it gave to the step's tokens, and its hidden state at the step's end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from trim.arrays import Booleans, Floats, Integers
from trim.config.models import ValuePRM
from trim.models.batching import WholeBatches
from trim.models.model_kinds import ReaderSource
from trim.models.prm_kinds import PrmTraining, Trace
from trim.models.protocols import Prefix, Score
from trim.models.reading import PrefixState, Reader
from trim.problems.equations import equations
from trim.progress import Progress

HEAD_FILE = "value_head.safetensors"
VALIDATION_FILE = "validation.csv"
FOLDS = 5
STRENGTHS = tuple(10.0**power for power in (-4, -3, -2, -1, 0, 1))
"""Candidates for the weight of the squared coefficients beside the mean loss."""

TRACES_AT_A_TIME = 64
PARTS: Mapping[str, slice] = {"likelihood": slice(0, 3), "arithmetic": slice(3, 5), "hidden": slice(5, None)}


def features(state: PrefixState, step: str) -> Floats:
    """Lay out what is known of a step: three of its log-probabilities, its equations, the hidden state at its end.

    Log-probabilities reach far below zero: the square root keeps a surprise from drowning all else.
    """
    told = state.logprobs.double().cpu().numpy()
    likelihood = [-np.sqrt(-told.min()), -np.sqrt(-told.mean()), np.log1p(len(told))] if len(told) else [0.0] * 3
    true = equations(step)
    arithmetic = [np.log1p(true.count(True)), np.log1p(true.count(False))]
    return np.concatenate([likelihood, arithmetic, state.hidden.double().cpu().numpy()])


@dataclass(frozen=True, slots=True)
class ValueHead:
    """A logistic regression.

    Attributes
    ----------
    weights, bias
        Shapes (features,) and (); of the features as they come.
    """

    weights: Floats
    bias: float

    def judge(self, rows: Floats) -> Floats:
        """Return probabilities, shape (n,), of features (n, features)."""
        probabilities: Floats = expit(rows @ self.weights + self.bias)
        return probabilities


class ValueJudge(WholeBatches):
    """Scores steps; a `BatchBackend` whose requests are prefixes that end with the step to judge."""

    def __init__(self, reader: Reader, head: ValueHead) -> None:
        self.reader = reader
        self.head = head
        self.batch_size = reader.batch_size

    def run(self, requests: Sequence[Prefix]) -> list[Score]:
        """Judge the last step of each prefix."""
        states = self.reader.read(requests)
        known = [features(state, prefix.text) for state, prefix in zip(states, requests, strict=True)]
        values = self.head.judge(np.stack(known)).tolist()
        return [Score(value, state.length) for value, state in zip(values, states, strict=True)]


def load_value_prm(folder: Path, reader: ReaderSource, **_: Any) -> ValueJudge:
    """Load a PRM of kind `value`, which reads with a language model of the pair."""
    from safetensors.numpy import load_file

    tensors = load_file(folder / HEAD_FILE)
    return ValueJudge(reader.open(), ValueHead(tensors["weights"], float(tensors["bias"][0])))


@dataclass(frozen=True, slots=True)
class Readings:
    """What a language model knows of the steps of rollouts.

    Attributes
    ----------
    rows
        Shape (n, features), a row a step.
    trace
        Shape (n,); index of the rollout that a step is of.
    fold
        Shape (n,); the fold of its problem in cross-validation.
    correct
        Shape (n,); whether the rollout's final answer is right.
    """

    rows: Floats
    trace: Integers
    fold: Integers
    correct: Booleans


def train_value_prm(spec: ValuePRM, training: PrmTraining, folder: Path, on_progress: Progress | None = None) -> None:
    """Read the rollouts and fit the head; `validation.csv` says how each choice of features does across folds.

    Solutions of the strong model alone hold no draft that a router could judge: they are left out.
    """
    import pandas as pd
    from safetensors.numpy import save_file

    assert training.reader is not None
    traces = [trace for trace in training.traces if trace.behaviour != "strong-only"]
    readings = read_traces(traces, training.reader.open(), on_progress)
    weak = np.array([trace.behaviour == "weak-only" for trace in traces])[readings.trace]
    candidates = {"+".join(kinds): kinds for kinds in dict.fromkeys([*((part,) for part in PARTS), spec.reads])}
    found = {
        name: cross_validate(readings, _columns(readings, kinds), weak)
        for name, kinds in candidates.items()
        if set(kinds) <= set(spec.reads)
    }
    columns = _columns(readings, spec.reads)
    head = fit_head(readings.rows[:, columns], readings.correct, found["+".join(spec.reads)]["strength"])
    weights = np.zeros(readings.rows.shape[1])
    weights[columns] = head.weights
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"weights": weights, "bias": np.array([head.bias])}, folder / HEAD_FILE)
    table = pd.DataFrame([{"reads": name, "steps": len(readings.rows), **one} for name, one in found.items()])
    # No checksum of its own: the folder has them.
    table.to_csv(folder / VALIDATION_FILE, index=False, float_format="%.6g", lineterminator="\n")


def read_traces(traces: Sequence[Trace], reader: Reader, on_progress: Progress | None = None) -> Readings:
    """Read every step of rollouts; some of them at a time, so that the reader still knows what they grew from."""
    order = sorted(range(len(traces)), key=lambda index: traces[index].problem)
    rows: dict[tuple[int, int], Floats] = {}
    for start in range(0, len(order), TRACES_AT_A_TIME):
        chosen = order[start : start + TRACES_AT_A_TIME]
        for steps in _by_position(traces, chosen):
            states = reader.read([prefix for _, prefix in steps])
            rows |= {
                (i, prefix.depth): features(state, prefix.text)
                for (i, prefix), state in zip(steps, states, strict=True)
            }
        if on_progress is not None:
            on_progress(min(start + TRACES_AT_A_TIME, len(order)), len(order))
    keys = sorted(rows)
    trace = np.array([index for index, _ in keys])
    folds = np.array([_fold(trace.problem) for trace in traces])
    correct = np.array([trace.correct for trace in traces])
    return Readings(np.stack([rows[key] for key in keys]), trace, folds[trace], correct[trace])


def _by_position(traces: Sequence[Trace], chosen: Sequence[int]) -> Iterator[list[tuple[int, Prefix]]]:
    """Yield the prefixes of some rollouts with one step, then those with two, and so on, each with its rollout."""
    live = [(index, Prefix.of(traces[index].problem)) for index in chosen]
    while live := [(i, p.extend(traces[i].steps[p.depth])) for i, p in live if p.depth < len(traces[i].steps)]:
        yield live


def _fold(problem: str) -> int:
    return hashlib.sha256(problem.encode()).digest()[0] % FOLDS


def _columns(readings: Readings, kinds: Sequence[str]) -> Integers:
    """Return the columns of some kinds of features."""
    return np.concatenate([np.arange(readings.rows.shape[1])[PARTS[kind]] for kind in sorted(kinds)])


def cross_validate(readings: Readings, columns: Integers, weak: Booleans) -> dict[str, Any]:
    """Predict each fold from the others; of all strengths keep the one with the least loss.

    Parameters
    ----------
    weak
        Shape (n,); whether a step is of a rollout of the weak model alone: what a router mostly judges.

    Returns
    -------
    The strength, the mean loss per step in nats, AUC of step scores and of a rollout's minimum and mean over rollouts
    of the weak model alone.
    """
    strength, loss, values = predict_folds(readings, columns)
    return {"strength": strength, "loss": loss, **_quality(values, readings, weak)}


def predict_folds(readings: Readings, columns: Integers) -> tuple[float, float, Floats]:
    """Return the strength with the least loss, that loss, and the predictions of each fold from the others."""
    rows, right, fold = readings.rows[:, columns], readings.correct, readings.fold
    best: tuple[float, float, Floats] | None = None
    for strength in STRENGTHS:
        values = np.empty(len(rows))
        for held_out in range(FOLDS):
            if (fold == held_out).any():
                head = fit_head(rows[fold != held_out], right[fold != held_out], strength)
                values[fold == held_out] = head.judge(rows[fold == held_out])
        loss = float(-np.mean(np.log(np.where(right, values, 1 - values).clip(1e-9))))
        if best is None or loss < best[1]:
            best = strength, loss, values
    assert best is not None
    return best


def _quality(values: Floats, readings: Readings, weak: Booleans) -> dict[str, float]:
    """Measure predictions against final answers, on rollouts of the weak model alone."""
    import pandas as pd

    steps = pd.DataFrame({"value": values, "trace": readings.trace, "right": readings.correct})[weak]
    traces = steps.groupby("trace").agg(
        minimum=("value", "min"), mean=("value", "mean"), last=("value", "last"), right=("right", "first")
    )
    measured = {name: _auc(traces[name], traces["right"]) for name in ("minimum", "mean", "last")}
    return {"step_auc": _auc(steps["value"], steps["right"]), **{f"{k}_auc": v for k, v in measured.items()}}


def _auc(values: Any, right: Any) -> float:
    from scipy.stats import mannwhitneyu

    right = np.asarray(right, bool)
    if right.all() or not right.any():
        return float("nan")
    above = mannwhitneyu(np.asarray(values)[right], np.asarray(values)[~right]).statistic
    return float(above / (right.sum() * (~right).sum()))


def fit_head(rows: Floats, right: Booleans, strength: float) -> ValueHead:
    """Fit a logistic regression with a penalty on the squared coefficients of standardised features.

    Parameters
    ----------
    rows, right
        Shapes (n, features) and (n,).
    strength
        Weight of half the sum of squared coefficients beside the mean loss.
    """
    centre, scale = rows.mean(0), rows.std(0) + 1e-9
    standard = (rows - centre) / scale
    signs = np.where(right, 1.0, -1.0)

    def objective(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = parameters[:-1], parameters[-1]
        margins = signs * (standard @ weights + bias)
        loss = np.logaddexp(0, -margins).mean() + strength / 2 * weights @ weights
        slope = -signs * expit(-margins) / len(signs)
        return float(loss), np.append(standard.T @ slope + strength * weights, slope.sum())

    found = minimize(objective, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / scale
    return ValueHead(weights, float(found[-1] - weights @ centre))
