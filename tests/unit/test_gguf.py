"""Conversion of GGUF files: a small one is made here from random weights, read back and compared."""

import hashlib
import random
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf_files import Q8, write_gguf
from stored import misses
from transformers import Qwen2ForCausalLM

from trim.config.datasets import ArithmeticFamily
from trim.config.models import Architecture, GgufModel, PretrainedModel, Sampling
from trim.errors import InputError
from trim.models.gguf import MANIFEST_FILE, convert_gguf
from trim.models.identities import identify_local
from trim.models.opening import fetch_gguf, open_pair
from trim.models.protocols import ModelPair
from trim.models.store import StepStore
from trim.models.tiny import build_config
from trim.models.transformers_backend import load_model
from trim.problems.arithmetic import draw_problems
from trim.problems.problem import Problem
from trim.rollout.engine import Run, solve_all
from trim.routers.controls import StrongOnly, WeakOnly

LAYERS = 2


def problems(count: int) -> list[Problem]:
    family = ArithmeticFamily(min_steps=1, max_steps=5)
    return [problem for problem, _ in zip(draw_problems("p", family, random.Random(3)), range(count), strict=False)]


@pytest.fixture(scope="module")
def original(tokenizer: Any) -> Qwen2ForCausalLM:
    torch.manual_seed(3)
    return Qwen2ForCausalLM(build_config(Architecture(hidden_size=64, layers=LAYERS, intermediate_size=96), tokenizer))


def eight_bits(tensor: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(gguf.dequantize(gguf.quantize(tensor.numpy(), Q8), Q8)).bfloat16()


@pytest.mark.parametrize("untied", [False, True])
def test_a_converted_folder_holds_the_models_weights_and_tokenizer(
    original: Any, tokenizer: Any, tmp_path: Path, untied: bool
) -> None:
    embedding = original.get_input_embeddings().weight.data
    sha256 = write_gguf(tmp_path / "m.gguf", original, tokenizer, embedding if untied else None)
    convert_gguf(lambda: tmp_path / "m.gguf", sha256, tmp_path / "model")
    model, converted = load_model(tmp_path / "model")
    assert model.config.architectures == ["Qwen2ForCausalLM"]
    assert model.config.tie_word_embeddings
    for name, tensor in original.state_dict().items():
        # Of head and embedding, the finer (8 bits) stands for both.
        expected = tensor.bfloat16() if tensor.ndim == 1 else eight_bits(tensor)
        torch.testing.assert_close(model.state_dict()[name], expected.float(), atol=0, rtol=0)
    ids = torch.tensor([tokenizer.encode("From 7 take 3 and add 2: 7-3+2=6\n\n")])
    with torch.inference_mode():
        torch.testing.assert_close(model(ids).logits, original(ids).logits, atol=0.05, rtol=0)
    chat = [{"role": "user", "content": "work 12+3\n\nout"}]
    assert converted.apply_chat_template(chat, tokenize=False) == tokenizer.apply_chat_template(chat, tokenize=False)
    for text in ("work 12+3=15\n\n", "the next one:\n\n\\boxed{4}", "<|user|>a<|end|>"):
        assert converted.encode(text) == tokenizer.encode(text)
        assert converted.decode(converted.encode(text)) == text
    assert (converted.eos_token_id, converted.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)
    assert model.generation_config.eos_token_id == sorted([tokenizer.eos_token_id, tokenizer.pad_token_id])


def test_a_head_that_is_another_matrix_stays_untied(original: Any, tokenizer: Any, tmp_path: Path) -> None:
    head = torch.randn(original.get_input_embeddings().weight.shape) * 0.02
    sha256 = write_gguf(tmp_path / "m.gguf", original, tokenizer, head)
    convert_gguf(lambda: tmp_path / "m.gguf", sha256, tmp_path / "model")
    model, _ = load_model(tmp_path / "model")
    assert not model.config.tie_word_embeddings
    torch.testing.assert_close(model.lm_head.weight.data, eight_bits(head).float(), atol=0, rtol=0)


def test_a_file_is_converted_once_and_again_when_it_changes(original: Any, tokenizer: Any, tmp_path: Path) -> None:
    file, folder = tmp_path / "m.gguf", tmp_path / "model"
    sha256 = write_gguf(file, original, tokenizer, None)
    convert_gguf(lambda: file, sha256, folder)
    weights = folder / "model.safetensors"
    before = weights.stat().st_mtime_ns
    file.rename(tmp_path / "away")
    convert_gguf(lambda: file, sha256, folder)  # nothing is read
    assert weights.stat().st_mtime_ns == before
    other = write_gguf(file, original, tokenizer, torch.zeros_like(original.get_input_embeddings().weight))
    convert_gguf(lambda: file, other, folder)
    assert weights.stat().st_mtime_ns != before
    (folder / MANIFEST_FILE).write_text('{"sha256": "of an older converter"}')
    before = weights.stat().st_mtime_ns
    convert_gguf(lambda: file, other, folder)
    assert weights.stat().st_mtime_ns != before


def test_a_wrong_file_is_one_clear_sentence(original: Any, tokenizer: Any, tmp_path: Path) -> None:
    file, folder = tmp_path / "m.gguf", tmp_path / "model"
    with pytest.raises(InputError, match=r"m\.gguf: no such file; fetch the GGUF file"):
        convert_gguf(lambda: file, "0" * 64, folder)
    write_gguf(file, original, tokenizer, None)
    with pytest.raises(InputError, match=f"has the sha256 [0-9a-f]{{64}}, not {'0' * 64} as the config says"):
        convert_gguf(lambda: file, "0" * 64, folder)
    cases = {
        "not a GGUF file": lambda: file.write_bytes(b"no magic" * 99) and hashlib.sha256(b"no magic" * 99).hexdigest(),
        "of architecture llama; only qwen2 and qwen3": lambda: write_gguf(file, original, tokenizer, None, "llama"),
        r"lacks the tensor blk\.1\.attn_k\.bias": lambda: write_gguf(
            file, original, tokenizer, None, leave_out="blk.1.attn_k.bias"
        ),
    }
    for message, write in cases.items():
        sha256 = write()
        with pytest.raises(InputError, match=message):
            convert_gguf(lambda: file, sha256, folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.lock", "m.gguf"]  # nothing half written stays


def test_a_truncated_file_is_refused(original: Any, tokenizer: Any, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    write_gguf(file, original, tokenizer, None)
    whole = file.read_bytes()
    for length in (100, len(whole) // 2, len(whole) - 5000):
        file.write_bytes(whole[:length])
        with pytest.raises(InputError, match="not a GGUF file that can be read"):
            convert_gguf(lambda: file, hashlib.sha256(whole[:length]).hexdigest(), tmp_path / "model")


def test_dequantised_values_are_those_of_the_format() -> None:
    block = np.zeros(34, dtype=np.uint8)  # Q8_0: a scale in fp16, then 32 signed bytes
    block[:2] = np.frombuffer(np.float16(0.5).tobytes(), dtype=np.uint8)
    block[2:] = np.arange(-16, 16).astype(np.int8).view(np.uint8)
    assert gguf.dequantize(block[None], Q8)[0].tolist() == [0.5 * i for i in range(-16, 16)]


# --- the pair ---------------------------------------------------------------------------


def test_a_pair_of_gguf_models_solves_and_replays_without_its_files(
    original: Any, tokenizer: Any, tmp_path: Path
) -> None:
    file = tmp_path / "m.gguf"
    model = GgufModel(file=str(file), sha256=write_gguf(file, original, tokenizer, None), system="work it out")
    sampling = Sampling(temperature=1.0, max_step_tokens=12)
    runs = [Run(problem, router, 0) for problem in problems(6) for router in (WeakOnly(), StrongOnly())]

    def open_models(offline: bool) -> tuple[ModelPair, StepStore]:
        store = StepStore(tmp_path / "store", "part", offline)
        return open_pair(model, model, {}, sampling, store, batch_size=4), store

    pair, store = open_models(offline=False)
    solved = solve_all(runs, pair, 3)
    store.flush()
    assert misses(store) > 0
    file.unlink()
    shutil.rmtree(tmp_path / "store/gguf")
    assert solve_all(runs, open_models(offline=True)[0], 3) == solved
    # Weak and strong are one model here: they have one identity, and share their steps.
    assert all(a.kept[0].step == b.kept[0].step for a, b in zip(solved[::2], solved[1::2], strict=True))


def test_what_identifies_a_model_in_process() -> None:
    sampling = Sampling()
    gguf_model = GgufModel(file="m.gguf", sha256="0" * 64)

    def identity(model: Any, rows: int = 8, device: str = "cpu") -> str:
        return identify_local(model, rows, device, sampling)

    assert identity(gguf_model) == identity(gguf_model.model_copy(update={"file": "elsewhere/m.gguf"}))
    assert identity(gguf_model) == identity(gguf_model, rows=64)  # its steps depend on their whole company
    others = [{"sha256": "1" * 64}, {"dtype": "float32"}, {"system": "Be brief."}]
    assert len({identity(gguf_model.model_copy(update=other)) for other in ({}, *others)}) == 4
    plain = PretrainedModel(name="a/model")
    assert identity(plain) != identity(plain, rows=64)
    assert "dtype" not in identity(plain)  # steps that were stored before there was a choice stay valid
    assert len({identity(plain.model_copy(update=other)) for other in ({}, *others[1:], {"dtype": "bfloat16"})}) == 3


def test_a_file_that_the_hub_does_not_give_is_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # the variable is read when it is imported
    model = GgufModel(repository="no/such-repository", file="m.gguf", sha256="0" * 64)
    with pytest.raises(InputError, match=r"no/such-repository: m\.gguf cannot be fetched .* fetch it by hand"):
        fetch_gguf(model, StepStore(tmp_path, "part", False))
