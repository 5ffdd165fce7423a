"""PRMs of kind value: rollouts are read, a head is fitted, and steps are scored with the pair's own model."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from prm_traces import TRACES, prefixes

from trim.config.models import PretrainedModel, ValuePRM
from trim.errors import ConfigError
from trim.models.model_kinds import ReaderSource
from trim.models.opening import PrmWish, build_reader, pair_reader, prm_wish
from trim.models.prm_kinds import PrmTraining, Trace, load_prm, train_prm
from trim.models.protocols import Prefix
from trim.models.store import StepStore
from trim.models.value_prm import VALIDATION_FILE, ValueJudge, cross_validate, fit_head, read_traces

SOLVED = [
    Trace(trace.problem, trace.steps, (), all(trace.labels), "weak-only" if i % 3 else "mixed")
    for i, trace in enumerate(TRACES)
]


@pytest.fixture
def source(model_folders: dict[str, Path], tmp_path: Path) -> ReaderSource:
    store = StepStore(tmp_path / "store", "part")
    wish = PrmWish("weak", "likelihood", 1)
    return pair_reader(PretrainedModel(name=str(model_folders["weak"])), None, wish, store, 8)


def train(spec: ValuePRM, source: ReaderSource, folder: Path) -> None:
    train_prm(spec, PrmTraining(SOLVED, None, {}, {}, "seed", source), folder)


def test_a_trained_one_scores_as_its_head_says_and_reports_every_choice_of_features(
    source: ReaderSource, tmp_path: Path
) -> None:
    train(ValuePRM(layer=1), source, tmp_path / "prm")
    found = pd.read_csv(tmp_path / "prm" / VALIDATION_FILE)
    assert set(found["reads"]) == {"likelihood", "arithmetic", "hidden", "likelihood+arithmetic+hidden"}
    assert found.filter(like="_auc").stack().between(0, 1).all() and found["loss"].between(0.1, 1).all()
    judge = load_prm(tmp_path / "prm", reader=source, batch_size=8)
    assert isinstance(judge, ValueJudge)
    asked = prefixes(SOLVED[:6])
    values = np.array([score.value for score in judge.run(asked)])
    rows = read_traces(SOLVED[:6], source.open()).rows
    assert values == pytest.approx(judge.head.judge(rows), abs=1e-5)
    assert values.std() > 0
    assert prm_wish(tmp_path / "prm") == PrmWish("weak", "likelihood", 1)


def test_a_head_on_one_kind_of_features_ignores_the_others(source: ReaderSource, tmp_path: Path) -> None:
    train(ValuePRM(layer=1, reads=("likelihood",)), source, tmp_path / "prm")
    head = load_prm(tmp_path / "prm", reader=source).head
    assert head.weights[:3].any() and not head.weights[3:].any()
    assert prm_wish(ValuePRM(reads=("hidden",))) == PrmWish("weak", "logits", None)


def test_readings_are_of_the_right_steps_whatever_the_order(source: ReaderSource) -> None:
    together = read_traces(SOLVED, source.open())
    assert together.trace.tolist() == [i for i, trace in enumerate(SOLVED) for _ in trace.steps]
    assert together.correct.tolist() == [trace.correct for trace in SOLVED for _ in trace.steps]
    alone = read_traces(SOLVED[5:6], source.open())
    assert together.rows[together.trace == 5] == pytest.approx(alone.rows, abs=1e-4)
    one = {together.fold[together.trace == i][0] for i, t in enumerate(SOLVED) if t.problem == SOLVED[0].problem}
    assert len(one) == 1 and len(set(together.fold)) > 1


def test_a_head_finds_what_tells_right_from_wrong_and_cross_validation_does_not_flatter(
    source: ReaderSource,
) -> None:
    rng = np.random.default_rng(0)
    readings = read_traces(SOLVED, source.open())
    right = rng.random(len(readings.rows)) < 0.5
    rows = rng.normal(size=(len(right), 4))
    rows[:, 2] += 3 * right
    head = fit_head(rows, right, 1e-3)
    assert np.argmax(np.abs(head.weights)) == 2
    assert ((head.judge(rows) > 0.5) == right).mean() > 0.85
    # Features that tell nothing: heads learn them by heart, and cross-validation says so.
    noise = type(readings)(rng.normal(size=(len(right), 60)), readings.trace, readings.fold, readings.correct)
    found = cross_validate(noise, np.arange(60), np.ones(len(right), dtype=bool))
    assert found["step_auc"] < 0.75


def test_a_layer_that_is_not_there_is_refused(model_folders: dict[str, Path], tmp_path: Path) -> None:
    spec, store = PretrainedModel(name=str(model_folders["weak"])), StepStore(tmp_path / "store", "part")
    with pytest.raises(ConfigError, match=r"layer 9 of pair\.weak, which has \d layers; lower it"):
        build_reader(spec, store, 8, wish=PrmWish("weak", "logits", 9))


def test_the_folder_says_what_it_is_and_names_no_path(source: ReaderSource, tmp_path: Path) -> None:
    train(ValuePRM(layer=1), source, tmp_path / "prm")
    described = json.loads((tmp_path / "prm" / "prm.json").read_text())
    reads = ["likelihood", "arithmetic", "hidden"]
    assert described == {"kind": "value", "backbone": "weak", "reads": reads, "layer": 1}
    assert sorted(path.name for path in (tmp_path / "prm").iterdir()) == [
        "prm.json",
        VALIDATION_FILE,
        "value_head.safetensors",
    ]


def test_likelihoods_are_those_of_the_steps_own_tokens(source: ReaderSource) -> None:
    trace = SOLVED[0]
    reader = source.open()
    prefix = Prefix.of(trace.problem, trace.steps[0])
    state = reader.read([prefix])[0]
    assert len(state.logprobs) == len(reader.prompts.block_ids(prefix))
