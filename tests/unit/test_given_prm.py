"""PRMs that others trained: a token classifier as TRL leaves it, and the layout of Qwen2ForProcessRewardModel."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForTokenClassification, Qwen2ForTokenClassification

from trim.config.models import Architecture, PretrainedPRM, TokenClassifierPRM
from trim.errors import InputError
from trim.models.batching import BatchLoop
from trim.models.opening import given_prm, open_scorer
from trim.models.prm import load_given
from trim.models.protocols import Prefix
from trim.models.store import StepStore
from trim.models.tiny import build_config

PROBLEM, STEPS = "7 i+5?", ("i: 7+5=12\n\n", "12 times 2 = 5\n\n", "\\boxed{5}")


@pytest.fixture(scope="module")
def trl_folder(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `trainer.save_model` leaves of a model of two classes; the weights are wild."""
    folder = tmp_path_factory.mktemp("trl")
    shape = Architecture(hidden_size=32, layers=2, heads=2, intermediate_size=48)
    torch.manual_seed(3)
    model = Qwen2ForTokenClassification(build_config(shape, tokenizer))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.4)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tokenised(tokenizer: Any, separator: str) -> list[int]:
    """Tokens of a solution as the trainer's `tokenize_row` lays them out."""
    ids = tokenizer(PROBLEM, add_special_tokens=False)["input_ids"]
    for step in STEPS:
        ids = ids + tokenizer(step.removesuffix("\n\n"), add_special_tokens=False)["input_ids"]
        ids = ids + tokenizer.encode(separator, add_special_tokens=False)
    return list(ids)


@pytest.mark.parametrize("separator", ["\n", "\n\n", " now "])
def test_a_token_classifier_scores_as_its_forward_pass_does(trl_folder: Path, tokenizer: Any, separator: str) -> None:
    judge = load_given(TokenClassifierPRM(name=str(trl_folder), separator=separator), batch_size=2)
    (score,) = judge.run([Prefix.of(PROBLEM, *STEPS)])
    ids = tokenised(tokenizer, separator)
    plain = AutoModelForTokenClassification.from_pretrained(trl_folder).eval()
    with torch.inference_mode():
        expected = torch.softmax(plain(torch.tensor([ids])).logits[0, -1].double(), -1)[1].item()
    assert score.value == pytest.approx(expected, abs=1e-5) and 0.001 < expected < 0.999
    assert score.prompt_tokens == len(ids)


def test_a_head_of_another_layout_is_refused(
    trl_folder: Path, classifier_folder: Path, model_folders: dict[str, Path]
) -> None:
    with pytest.raises(InputError, match=r"score\.weight \(2, 32\).* kind token-classifier with one"):
        load_given(PretrainedPRM(name=str(trl_folder)), batch_size=2)
    with pytest.raises(InputError, match=r"score\.0\.bias .* kind served or pretrained with two layers"):
        load_given(TokenClassifierPRM(name=str(classifier_folder)), batch_size=2)
    with pytest.raises(InputError, match="holds nothing called score"):
        load_given(TokenClassifierPRM(name=str(model_folders["weak"])), batch_size=2)


def test_what_decides_a_score_is_in_its_identity(trl_folder: Path, classifier_folder: Path, tmp_path: Path) -> None:
    specs = [
        PretrainedPRM(name=str(classifier_folder)),
        PretrainedPRM(name=str(classifier_folder), keeps_separator=True),
        TokenClassifierPRM(name=str(trl_folder)),
        TokenClassifierPRM(name=str(trl_folder), separator="\n\n"),
    ]
    found = [given_prm({"prm": spec.model_dump()}) for spec in specs]
    assert found == specs and given_prm({}) is None
    store = StepStore(tmp_path, "p")
    assert len({open_scorer(spec, store, 4, BatchLoop()).identity for spec in specs}) == len(specs)
