"""Scores without a PRM: what the weak model's own reader tells of a draft, against transformers' plain forward pass."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from prm_traces import TRACES, prefixes

from trim.config.models import ConfidencePRM, PretrainedModel
from trim.errors import BackendError
from trim.models.confidence import ConfidenceJudge, certainty
from trim.models.opening import pair_reader, prm_wish
from trim.models.prm_kinds import PrmTraining, load_prm, prm_kinds, train_prm
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import Prefix
from trim.models.ragged import RaggedReader
from trim.models.store import StepStore
from trim.models.transformers_backend import load_model
from trim.models.value_prm import ValueJudge

READS = ("entropy", "mean", "lowest")


@pytest.fixture
def spec(model_folders: dict[str, Path]) -> PretrainedModel:
    return PretrainedModel(name=str(model_folders["weak"]))


def scored(reads: str, spec: PretrainedModel, tmp_path: Path, asked: list[Prefix]) -> list[float]:
    folder, prm = tmp_path / reads, ConfidencePRM(reads=reads)
    train_prm(prm, PrmTraining((), None, {}, {}, "seed"), folder)
    wish = prm_wish(folder)
    assert wish is not None and wish == prm_wish(prm)
    source = pair_reader(spec, None, wish, StepStore(tmp_path / "store", "part"), 8)
    judge = load_prm(folder, reader=source)
    assert isinstance(judge, ConfidenceJudge) and not isinstance(judge, ValueJudge)
    return [score.value for score in judge.run(asked)]


def plainly(spec: PretrainedModel, asked: list[Prefix]) -> dict[str, list[float]]:
    """All three from one forward pass over the whole text."""
    model, tokenizer = load_model(spec.name)
    prompts = PrefixTokenizer(tokenizer)
    found: dict[str, list[float]] = {reads: [] for reads in READS}
    for prefix in asked:
        *before, step = prompts.blocks(prefix)
        ids = torch.tensor([[token for block in (*before, step) for token in block]])
        with torch.inference_mode():
            logits = model(ids, use_cache=False).logits[0].double()
        told = logits.log_softmax(-1)[-len(step) - 1 : -1]
        chosen = told.gather(1, torch.tensor(step)[:, None])
        found["mean"].append(math.exp(chosen.mean()))
        found["lowest"].append(math.exp(chosen.min()))
        found["entropy"].append(math.exp((told[0].exp() * told[0]).sum()))
    return found


@pytest.mark.parametrize("reads", READS)
def test_scores_are_those_of_a_plain_forward_pass(reads: str, spec: PretrainedModel, tmp_path: Path) -> None:
    asked = prefixes(TRACES[:4])
    expected = plainly(spec, asked)[reads]
    assert scored(reads, spec, tmp_path, asked) == pytest.approx(expected, abs=2e-4)
    assert np.std(expected) > 0


@pytest.mark.parametrize("reads", READS)
def test_no_bit_of_a_score_hangs_on_what_is_scored_beside_it(reads: str, spec: PretrainedModel, tmp_path: Path) -> None:
    asked = prefixes(TRACES[:4])
    together = scored(reads, spec, tmp_path, asked)
    assert scored(reads, spec, tmp_path, asked[::-1]) == together[::-1]
    assert [scored(reads, spec, tmp_path, [one])[0] for one in asked] == together


def test_the_last_bit_of_a_certainty_hangs_on_its_own_row_alone() -> None:
    logits = torch.randn(64, 51, generator=torch.Generator().manual_seed(0)) * 3
    assert [certainty(row[None])[0] for row in logits] == certainty(logits)


@pytest.mark.parametrize("reads", READS)
def test_an_empty_step_has_a_score(reads: str, spec: PretrainedModel, tmp_path: Path) -> None:
    assert 0 <= scored(reads, spec, tmp_path, [Prefix.of(TRACES[0].problem, "")])[0] < 1


def test_certainty_is_one_over_the_number_of_equally_likely_tokens() -> None:
    sure = torch.tensor([[60.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, -60.0, -60.0]])
    assert certainty(sure) == pytest.approx([1, 1 / 4, 1 / 2])


def test_hidden_states_of_a_layer_within_foresee_nothing(spec: PretrainedModel, tmp_path: Path) -> None:
    wish = prm_wish(ConfidencePRM(reads="entropy"))
    assert wish is not None
    within = pair_reader(spec, None, type(wish)("weak", "logits", 1), StepStore(tmp_path, "part"), 8).open()
    assert isinstance(within, RaggedReader)
    with pytest.raises(BackendError, match="after layer 1: they foresee nothing"):
        within.foresee(within.read(prefixes(TRACES[:1])))


def test_thresholds_alone_are_fitted_on_them() -> None:
    assert {name: kind.routers for name, kind in prm_kinds().items() if kind.routers} == {"confidence": ("trim-thr",)}
