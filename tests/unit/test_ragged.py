"""The reader of real models, on a small random one in single precision: it must do what transformers does."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import Qwen2ForCausalLM

from trim.config.models import Architecture, PretrainedModel, Sampling
from trim.errors import BackendError
from trim.models.fixed_writing import FixedShapeWriter
from trim.models.generator import StepGenerator
from trim.models.opening import open_pair
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import SEPARATOR, FinishReason, Prefix
from trim.models.ragged import PackedLinear, RaggedReader, pack_linear_layers
from trim.models.store import StepStore
from trim.models.tiny import build_config
from trim.models.transformers_backend import load_model

HOT = Sampling(temperature=1.0, top_p=1.0, top_k=40, max_step_tokens=24)
GREEDY = Sampling(temperature=0.0, max_step_tokens=24)
Request = tuple[Prefix, int]


@pytest.fixture(autouse=True, params=[False, True], ids=["one by one", "padded"])
def attention(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Try everything with both ways to attend; GPUs take the second."""
    monkeypatch.setitem(RaggedReader.__init__.__kwdefaults__, "padded", request.param)


@pytest.fixture(scope="module")
def folder(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a model with wild random weights, whose query heads share key heads two by two."""
    config = build_config(Architecture(hidden_size=32, layers=3, heads=4, intermediate_size=48), tokenizer)
    config.num_key_value_heads = 2
    model = Qwen2ForCausalLM(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.4, generator=generator) if parameter.ndim == 2 else None
    path = tmp_path_factory.mktemp("models") / "shared-heads"
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def plain(folder: Path) -> Any:
    return load_model(folder)[0]


def reader(folder: Path, dtype: Any = "float32", **options: Any) -> RaggedReader:
    model, tokenizer = load_model(folder, dtype=dtype)
    return RaggedReader(model, PrefixTokenizer(tokenizer), **{"batch_size": 8, **options})


def generator(folder: Path, sampling: Sampling = HOT, **options: Any) -> StepGenerator:
    return StepGenerator(reader(folder, **options), "m", sampling)


@pytest.fixture(scope="module")
def roots() -> list[Prefix]:
    numbers = random.Random(4)
    return [
        Prefix.of("work out " + " add ".join(str(numbers.randrange(10**5)) for _ in range(i))) for i in range(1, 12)
    ]


@pytest.fixture(scope="module")
def asked(folder: Path, roots: list[Prefix]) -> list[Request]:
    """Requests at several depths, along solutions that the model itself wrote."""
    backend, requests, prefixes = generator(folder), [], roots
    for _ in range(4):
        requests += [(prefix, replicate) for prefix in prefixes for replicate in (0, 1)]
        steps = backend.run([(prefix, 0) for prefix in prefixes])
        prefixes = [prefix.extend(step.text) for prefix, step in zip(prefixes, steps, strict=True)]
    return requests


def ids_of(backend: StepGenerator, prefix: Prefix) -> list[int]:
    return sum(backend.reader.prompts.blocks(prefix), [])


def own_logprobs(plain: Any, ids: Sequence[int], count: int) -> torch.Tensor:
    """Log-probabilities of the last tokens, from one plain forward pass."""
    with torch.inference_mode():
        logprobs = plain(torch.tensor([ids])).logits[0].log_softmax(-1)
    return logprobs[:-1].gather(1, torch.tensor(ids[1:])[:, None])[-count:, 0]


@pytest.mark.parametrize(("rows", "cache_bytes"), [(1, 1 << 30), (3, 1 << 30), (8, 0), (64, 60_000)])
def test_greedy_steps_are_what_generate_writes_whatever_the_batch(
    folder: Path, plain: Any, asked: list[Request], rows: int, cache_bytes: int
) -> None:
    backend = generator(folder, GREEDY, batch_size=rows, cache_bytes=cache_bytes)
    prefixes = list({prefix.digest: prefix for prefix, _ in asked}.values())
    steps = backend.run([(prefix, 0) for prefix in prefixes])
    for prefix, step in zip(prefixes, steps, strict=True):
        ids = ids_of(backend, prefix)
        with torch.inference_mode():
            options = {"do_sample": False, "max_new_tokens": 24, "pad_token_id": 0}
            written = plain.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), **options)
        assert list(step.token_ids) == written[0, len(ids) :].tolist()[: step.tokens]
        assert step.prompt_tokens == len(ids)
        assert step.tokens == 24 or step.finish is not FinishReason.LENGTH
    assert len({step.prompt_tokens for step in steps}) > 20


def test_steps_follow_their_seed_in_any_company(folder: Path, asked: list[Request]) -> None:
    steps = generator(folder).run(asked)
    order = random.Random(2).sample(range(len(asked)), len(asked))
    shuffled = generator(folder, batch_size=5).run([asked[i] for i in order])
    assert [shuffled[order.index(i)] for i in range(len(asked))] == steps
    firsts, seconds = steps[::2], steps[1::2]
    assert sum(a.token_ids != b.token_ids for a, b in zip(firsts, seconds, strict=True)) > 0.9 * len(firsts)
    assert {step.finish for step in steps} == set(FinishReason)
    assert all(SEPARATOR in step.text for step in steps if step.finish is FinishReason.SEPARATOR)


def test_the_log_probabilities_of_a_written_step_are_those_of_a_plain_pass(
    folder: Path, plain: Any, asked: list[Request]
) -> None:
    backend = generator(folder, outputs="likelihood")
    steps = [step for depth in range(4) for step in backend.run([one for one in asked if one[0].depth == depth])]
    children = [prefix.extend(step.text) for (prefix, _), step in zip(asked, steps, strict=True)]
    read: list[int] = []
    backend.reader.model.base_model.register_forward_pre_hook(
        lambda _, __, named: read.append(named["input_ids"].shape[1]), with_kwargs=True
    )
    states = backend.reader.read(children)
    cut_alike = 0
    for child, step, state in zip(children, steps, states, strict=True):
        block, ids = backend.reader.prompts.block_ids(child), ids_of(backend, child)
        expected = own_logprobs(plain, ids, len(block))
        torch.testing.assert_close(state.logprobs, expected, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(
            state.likelihood, torch.stack([expected.min(), expected.mean()]), atol=1e-3, rtol=1e-4
        )
        cut_alike += block == list(step.token_ids)[: len(block)]
    assert 0.1 * len(steps) < cut_alike < len(steps)  # both ways were tried
    unlike = sum(
        len(backend.reader.prompts.block_ids(c)) + 1
        for c, s in zip(children, steps, strict=True)
        if backend.reader.prompts.block_ids(c) != list(s.token_ids)[: len(backend.reader.prompts.block_ids(c))]
    )
    assert sum(read) <= cut_alike + unlike  # one token for each step that the model wrote in the tokens it reads


@pytest.mark.parametrize("layer", [None, 0, 1])
def test_states_are_those_of_a_plain_pass(folder: Path, plain: Any, asked: list[Request], layer: int | None) -> None:
    layers = () if layer is None else (layer,)
    ours = reader(folder, outputs="likelihood", hidden_layers=layers)
    prefixes = [prefix for prefix, _ in asked[::3]]
    nested = ours.read(prefixes[-4:][0].lineage())
    assert [state.length for state in nested] == [ours.prompts.length(node) for node in prefixes[-4].lineage()]
    forgetful = reader(folder, outputs="likelihood", hidden_layers=layers, cache_bytes=0)
    for prefix, state in zip(prefixes, ours.read(prefixes), strict=True):
        ids = sum(ours.prompts.blocks(prefix), [])
        with torch.inference_mode():
            hidden = plain(torch.tensor([ids]), output_hidden_states=True).hidden_states
        expected = hidden[-1] if layer is None else hidden[layer + 1]
        for found in (state, forgetful.read([prefix])[0]):
            assert found.length == len(ids)
            torch.testing.assert_close(found.hidden, expected[0, -1], atol=1e-3, rtol=1e-4)
            if prefix.parent:
                block = own_logprobs(plain, ids, len(ours.prompts.block_ids(prefix)))
                torch.testing.assert_close(found.logprobs, block, atol=1e-3, rtol=1e-4)


def test_rows_are_replaced_at_once_and_no_token_is_read_twice(folder: Path, roots: list[Prefix]) -> None:
    backend = generator(folder, batch_size=4)
    prompts, passes = backend.reader.prompts, list[int]()
    backend.reader.model.base_model.register_forward_pre_hook(
        lambda _, __, named: passes.append(named["input_ids"].numel()), with_kwargs=True
    )
    unread, needed, written, prefixes = [prompts.length(root) for root in roots], 0, 0, roots
    for _ in range(3):
        steps = backend.run([(prefix, 0) for prefix in prefixes])
        written += sum(step.tokens for step in steps)
        needed += sum(unread) + sum(step.tokens - 1 for step in steps)  # a step's last token is drawn, and not read
        prefixes = [prefix.extend(step.text) for prefix, step in zip(prefixes, steps, strict=True)]
        unread = []
        for child, step in zip(prefixes, steps, strict=True):
            pairs = zip(block := prompts.block_ids(child), step.token_ids, strict=False)
            # A step that is cut into other tokens when it is read is read again from the first of these on.
            unread.append(next((len(block) - i for i, (one, other) in enumerate(pairs) if one != other), 1))
    assert sum(passes) == needed
    assert len(passes) < written / 4 + 3 * 24  # four rows, but for the last ones of each round


def test_prefixes_share_their_beginnings_in_memory(folder: Path, roots: list[Prefix]) -> None:
    ours = reader(folder, outputs="likelihood")
    root = roots[-1]
    children = [root.extend(f"{i} add {i}=\n\n") for i in range(20)]
    ours.read(children)
    tokens = len(ours.prompts.block_ids(root)) + sum(len(ours.prompts.block_ids(child)) for child in children)
    one = ours.read([root])[0]
    assert ours.memory._bytes == tokens * one.cache.nbytes // one.length


def test_a_long_prompt_is_read_in_several_passes(folder: Path, plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trim.models.ragged.PASS_TOKENS", {"cpu": 64})
    backend = generator(folder, GREEDY)
    prefixes = [Prefix.of("work out" + " add 12345" * i) for i in range(1, 9)]
    sizes: list[int] = []
    backend.reader.model.base_model.register_forward_pre_hook(
        lambda _, __, named: sizes.append(named["input_ids"].numel()), with_kwargs=True
    )
    steps = backend.run([(prefix, 0) for prefix in prefixes])
    assert max(sizes) < 64 + max(map(backend.reader.prompts.length, prefixes))
    for prefix, step in zip(prefixes, steps, strict=True):
        ids = ids_of(backend, prefix) + list(step.token_ids)
        with torch.inference_mode():
            likeliest = plain(torch.tensor([ids])).logits[0].argmax(-1)[-step.tokens - 1 : -1]
        assert likeliest.tolist() == list(step.token_ids)


def test_a_prefix_that_fills_the_context_is_an_error(folder: Path, roots: list[Prefix]) -> None:
    backend = generator(folder)
    backend.reader.max_length = backend.reader.prompts.length(roots[3]) + 24
    assert backend.run([(roots[3], 0)])
    with pytest.raises(BackendError, match=r"tokens leaves no room for a step within the model's .* lower max_steps"):
        backend.run([(roots[5], 0)])


def test_a_model_with_windows_is_refused(folder: Path) -> None:
    model, tokenizer = load_model(folder)
    model.config.layer_types = ["full_attention", "sliding_attention", "full_attention"]
    with pytest.raises(BackendError, match="layers all attend to all tokens"):
        RaggedReader(model, PrefixTokenizer(tokenizer))


# --- bf16 -------------------------------------------------------------------------------


def test_packed_layers_are_as_near_the_truth_as_plain_ones() -> None:
    torch.manual_seed(0)
    for bias in (False, True):
        exact = nn.Linear(96, 160, bias=bias)
        plain = nn.Linear(96, 160, bias=bias).bfloat16()
        plain.load_state_dict(exact.state_dict())
        holder = nn.Sequential(plain)
        pack_linear_layers(holder)
        for rows in (1, 5, 48):
            x = torch.randn(rows, 96)
            with torch.inference_mode():
                truth = exact(x)
                ours, theirs = holder(x.bfloat16()).float(), plain(x.bfloat16()).float()
            assert (ours - truth).abs().mean() < 1.1 * (theirs - truth).abs().mean()
    single = nn.Sequential(nn.Linear(4, 4))
    pack_linear_layers(single)
    assert not isinstance(single[0], PackedLinear)  # single precision stays as it is


def test_half_precision_changes_log_probabilities_a_little(folder: Path, plain: Any, asked: list[Request]) -> None:
    ours = reader(folder, "bfloat16", outputs="likelihood")
    model, _ = load_model(folder, dtype="bfloat16")
    off, theirs_off = [], []
    for prefix, state in zip(prefixes := [p for p, _ in asked[::4] if p.parent], ours.read(prefixes), strict=True):
        ids = sum(ours.prompts.blocks(prefix), [])
        truth = own_logprobs(plain, ids, len(state.logprobs))
        off.append((state.logprobs - truth).abs())
        theirs_off.append((own_logprobs(model, ids, len(state.logprobs)).float() - truth).abs())
    # Random weights this wild make bf16 coarse; what is asked is to be no coarser than transformers itself.
    assert torch.cat(off).mean() < 1.15 * torch.cat(theirs_off).mean()


def test_memory_for_states_is_what_a_pair_is_opened_with(folder: Path, tmp_path: Path) -> None:
    specs = [PretrainedModel(name=str(folder), dtype=dtype) for dtype in ("float32", "bfloat16")]
    pair = open_pair(*specs, {}, GREEDY, StepStore(tmp_path, "p"), 4, cache_bytes=12345)
    readers = [model._model._backend._built().reader for model in (pair.weak, pair.strong)]
    assert [type(one) for one in readers] == [FixedShapeWriter, RaggedReader]
    assert [one.memory._budget for one in readers] == [12345, 12345]
