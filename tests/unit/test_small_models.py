"""Small models as weights alone: what is read with them is the same, bit for bit."""

import json
import random
import shutil
from pathlib import Path

import pytest
import torch

from trim.config.datasets import ArithmeticFamily
from trim.errors import InputError
from trim.models.prm import load_classifier
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import Prefix
from trim.models.small import SmallModel
from trim.models.transformers_backend import FixedShapeReader, load_model, load_to_read
from trim.problems.arithmetic import draw_problems


def test_a_small_model_is_its_weights_and_reads_the_same_bits(model_folders: dict[str, Path]) -> None:
    drawn = draw_problems("p", ArithmeticFamily(min_steps=1, max_steps=9), random.Random(3))
    roots = [Prefix.of(problem.text) for problem, _ in zip(drawn, range(6), strict=False)]
    asked = [*roots, *(root.extend("From 1 take 2\n\n") for root in roots)]
    whole, tokenizer = load_model(model_folders["weak"])
    small, same_tokenizer = load_to_read(model_folders["weak"])
    assert isinstance(small, SmallModel)
    readers = [
        FixedShapeReader(model, PrefixTokenizer(words), outputs="likelihood")
        for model, words in ((whole, tokenizer), (small, same_tokenizer))
    ]
    first, second = (reader.read(asked) for reader in readers)
    for one, other in zip(first, second, strict=True):
        for name in ("cache", "hidden", "logits", "logprobs"):
            assert torch.equal(getattr(one, name), getattr(other, name))
    assert small.generation_config.eos_token_id == whole.generation_config.eos_token_id


def test_a_classifier_reads_the_same_bits_without_its_model_class(
    classifier_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(classifier_folder, tmp_path / "prm")
    (folder / "generation_config.json").unlink()  # as where it is trained: it writes nothing
    asked = [Prefix.of("7 a+5 b*3?").extend(f"a:7+5={total}\n\n") for total in (11, 12, 13)]
    judges = [load_classifier(folder)]
    monkeypatch.setattr(SmallModel, "find", lambda folder, head: None)
    judges.append(load_classifier(folder))
    first, second = (judge.run(asked) for judge in judges)
    assert [isinstance(judge.reader.model, SmallModel) for judge in judges] == [True, False]
    assert first == second


def test_a_classifier_without_the_weights_of_its_head_is_one_sentence(classifier_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(classifier_folder, tmp_path / "prm")
    index = {"weight_map": {"score.0.weight": "head.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(InputError, match=r"holds no head\.safetensors; a PRM must have its weights there"):
        load_classifier(folder)


def test_what_is_no_small_model_is_left_to_transformers(model_folders: dict[str, Path], tmp_path: Path) -> None:
    assert SmallModel.find(tmp_path) is None
    model, _ = load_model(model_folders["weak"])
    model.to(torch.bfloat16).save_pretrained(tmp_path / "half")
    assert SmallModel.find(tmp_path / "half") is None
    model.config.rope_parameters = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
    model.to(torch.float32).save_pretrained(tmp_path / "stretched")
    assert SmallModel.find(tmp_path / "stretched") is None
    shutil.copytree(model_folders["weak"], tmp_path / "endless")
    assert SmallModel.find(tmp_path / "endless") is not None
    (tmp_path / "endless" / "generation_config.json").unlink()
    assert SmallModel.find(tmp_path / "endless") is None
    assert SmallModel.find(tmp_path / "endless", head=False) is not None
