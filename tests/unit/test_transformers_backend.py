"""Steps and prefix states of a random tiny model: bit for bit, whatever else is computed."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from stored import misses
from transformers import DynamicCache, Qwen2Config, Qwen2ForCausalLM

from trim.config.datasets import ArithmeticFamily
from trim.config.models import PretrainedModel, Sampling
from trim.errors import BackendError, RefusedRequest
from trim.models.fixed_writing import MOST_PASSED_OVER, FixedShapeWriter
from trim.models.fused import FusedQwen2
from trim.models.generator import StepGenerator
from trim.models.opening import open_pair
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import SEPARATOR, FinishReason, ModelPair, Prefix, Step
from trim.models.reading import PrefixState
from trim.models.store import StepStore
from trim.models.transformers_backend import FixedShapeReader, block_width, load_model
from trim.problems.arithmetic import draw_problems
from trim.problems.problem import Problem
from trim.rollout.engine import Episode, Run, solve_all
from trim.rollout.history import Router
from trim.routers.controls import StrongOnly, WeakOnly
from trim.routers.threshold import Threshold

HOT = Sampling(temperature=1.0, top_p=1.0, top_k=0, max_step_tokens=12)
GREEDY = Sampling(temperature=0.0, max_step_tokens=12)
LONG = Sampling(temperature=1.0, top_p=1.0, top_k=40, max_step_tokens=48)  # most steps end before
Request = tuple[Prefix, int]


def problems(count: int) -> list[Problem]:
    family = ArithmeticFamily(min_steps=1, max_steps=9)
    return [problem for problem, _ in zip(draw_problems("p", family, random.Random(3)), range(count), strict=False)]


@pytest.fixture(scope="module")
def loaded(model_folders: dict[str, Path]) -> tuple[Any, Any]:
    return load_model(model_folders["strong"])


def fixed_shapes(loaded: tuple[Any, Any], **options: Any) -> FixedShapeReader:
    model, tokenizer = loaded
    return FixedShapeReader(model, PrefixTokenizer(tokenizer), **{"batch_size": 8, **options})


def generator(loaded: tuple[Any, Any], sampling: Sampling = HOT, identity: str = "m", **writer: Any) -> StepGenerator:
    model, tokenizer = loaded
    return StepGenerator(FixedShapeWriter(model, PrefixTokenizer(tokenizer), rows=8, **writer), identity, sampling)


def answer(backend: StepGenerator, requests: Sequence[Request]) -> dict[tuple[bytes, int], Step]:
    steps = backend.run(requests)
    return {(prefix.digest, replicate): step for (prefix, replicate), step in zip(requests, steps, strict=True)}


@pytest.fixture(scope="module")
def asked(loaded: tuple[Any, Any]) -> list[Request]:
    """Requests at several depths, along solutions that the model itself wrote."""
    backend, requests = generator(loaded), []
    prefixes = [Prefix.of(problem.text) for problem in problems(14)]
    for _ in range(4):
        requests += [(prefix, replicate) for prefix in prefixes for replicate in (0, 1)]
        steps = answer(backend, [(prefix, 0) for prefix in prefixes])
        prefixes = [prefix.extend(steps[prefix.digest, 0].text) for prefix in prefixes]
    return requests


@pytest.fixture(scope="module")
def steps(loaded: tuple[Any, Any], asked: list[Request]) -> dict[tuple[bytes, int], Step]:
    return answer(generator(loaded), asked)


def same(a: PrefixState, b: PrefixState) -> bool:
    return all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(PrefixState) if f.name != "start")


def test_a_step_does_not_depend_on_its_batch(
    loaded: tuple[Any, Any], asked: list[Request], steps: dict[tuple[bytes, int], Step]
) -> None:
    shuffled = random.Random(1).sample(asked, len(asked))
    assert answer(generator(loaded), shuffled) == steps  # other company, other rows
    assert answer(generator(loaded), asked[::-7]) == {(p.digest, r): steps[p.digest, r] for p, r in asked[::-7]}
    cold = generator(loaded)
    for prefix, replicate in asked[::9]:  # alone
        assert cold.run([(prefix, replicate)]) == [steps[prefix.digest, replicate]]


@pytest.mark.parametrize("cache_bytes", [0, 20_000])
def test_a_step_does_not_depend_on_what_is_cached(
    loaded: tuple[Any, Any], asked: list[Request], steps: dict[tuple[bytes, int], Step], cache_bytes: int
) -> None:
    warm = generator(loaded)
    answer(warm, asked)
    assert answer(warm, asked[::3]) == {(p.digest, r): steps[p.digest, r] for p, r in asked[::3]}
    evicting = generator(loaded, cache_bytes=cache_bytes)
    assert answer(evicting, random.Random(2).sample(asked, len(asked))) == steps


def test_under_endless_load_no_row_waits_for_ever(loaded: tuple[Any, Any]) -> None:
    writer: Any = generator(loaded).reader
    shapes = {length: SimpleNamespace(ready=ready, passed_over=0) for length, ready in ((64, 8), (128, 1), (192, 0))}
    writer._shapes = shapes
    served = [writer._next() for _ in range(2 * (MOST_PASSED_OVER + 1))]
    assert [number for number, slots in enumerate(served) if slots is shapes[128]] == [
        MOST_PASSED_OVER,
        2 * MOST_PASSED_OVER + 1,
    ]
    assert shapes[192] not in served


def test_a_writer_forgets_all_that_it_read(loaded: tuple[Any, Any], asked: list[Request]) -> None:
    backend = generator(loaded)
    backend.run(asked[:2])
    reader, root = backend.reader, asked[0][0].lineage()[0]
    assert isinstance(reader, FixedShapeWriter) and reader.memory.get(root.digest) is not None
    reader.memory.reset(0)
    assert reader.memory.get(root.digest) is None
    (state,) = reader._problems.read([root])  # which reads it anew, and keeps nothing within no bytes
    assert state.length and reader.memory.get(root.digest) is None


def test_the_state_of_a_prefix_does_not_depend_on_its_batch_or_the_cache(
    loaded: tuple[Any, Any], asked: list[Request]
) -> None:
    prefixes = [prefix for prefix, _ in asked[::2]]
    outputs: Any = "likelihood"
    states = fixed_shapes(loaded, outputs=outputs).read(prefixes)
    alone = fixed_shapes(loaded, outputs=outputs, cache_bytes=0)
    backwards = fixed_shapes(loaded, outputs=outputs).read(prefixes[::-1])[::-1]
    assert len({state.length for state in states}) > 10
    for prefix, state, other in list(zip(prefixes, states, backwards, strict=True))[::3]:
        assert same(state, other)
        assert same(state, alone.read([prefix])[0])


def test_every_pass_has_a_fixed_number_of_rows(
    loaded: tuple[Any, Any], asked: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another number of rows changes the last bits of logits, which seldom shows in the token that is drawn.
    shapes: set[tuple[int, int, int]] = set()
    forward = FixedShapeReader.forward

    def noted(
        self: FixedShapeReader, ids: torch.Tensor, positions: torch.Tensor, visible: torch.Tensor, *rest: Any
    ) -> Any:
        shapes.add((*ids.shape, visible.shape[2]))
        return forward(self, ids, positions, visible, *rest)

    monkeypatch.setattr(FixedShapeReader, "forward", noted)
    answer(generator(loaded), asked)
    generator(loaded).run(asked[:1])
    assert {rows for rows, width, _ in shapes if width == 1} == {8}  # writing
    assert len({rows for rows, width, _ in shapes if width > 1}) == 1  # reading
    assert {width for _, width, _ in shapes} <= {1, 8, 16, 32, 64}
    assert {slots for _, width, slots in shapes if width == 1} == {64, 128}


def test_it_is_the_same_without_a_forward_pass_of_our_own(
    loaded: tuple[Any, Any], asked: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FusedQwen2.fits(loaded[0])
    ours = answer(generator(loaded, GREEDY), asked[::5])
    monkeypatch.setattr(FusedQwen2, "fits", lambda model: False)
    assert answer(generator(loaded, GREEDY), asked[::5]) == ours
    steps, shuffled = answer(generator(loaded), asked), random.Random(4).sample(asked, len(asked))
    assert answer(generator(loaded, cache_bytes=20_000), shuffled) == steps


def test_our_own_forward_pass_shares_key_heads(tmp_path: Path) -> None:
    config = Qwen2Config(
        vocab_size=50, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config).eval()
    ids, past = torch.randint(50, (3, 9)), DynamicCache()
    mask = torch.full((9, 9), torch.finfo(torch.float32).min).triu(1).expand(3, -1, -1)
    with torch.inference_mode():
        ours = FusedQwen2(model)(ids, torch.arange(9).expand(3, -1), mask, past)
        torch.testing.assert_close(ours, model.model(ids).last_hidden_state, atol=1e-5, rtol=1e-4)


def test_states_agree_with_a_plain_forward_pass(loaded: tuple[Any, Any], asked: list[Request]) -> None:
    model, _ = loaded
    reader = fixed_shapes(loaded, outputs="likelihood")
    for prefix in [prefix for prefix, _ in asked[::5]]:
        state = reader.read([prefix])[0]
        blocks = [reader.prompts.block_ids(node) for node in prefix.lineage()]
        ids = sum(blocks, [])
        with torch.inference_mode():
            output = model(torch.tensor([ids]), output_hidden_states=True)
        assert state.length == len(ids) == reader.prompts.length(prefix)
        torch.testing.assert_close(state.hidden, output.hidden_states[-1][0, -1], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(state.logits, output.logits[0, -1], atol=1e-4, rtol=1e-4)
        if prefix.depth:
            logprobs = output.logits.log_softmax(-1)[0, :-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
            own = logprobs[-len(blocks[-1]) :]
            expected = torch.stack([own.min(), own.mean()])
            torch.testing.assert_close(state.likelihood, expected, atol=1e-3, rtol=1e-4)
            torch.testing.assert_close(state.logprobs, own, atol=1e-3, rtol=1e-4)


def test_another_replicate_or_identity_draws_anew(
    loaded: tuple[Any, Any], asked: list[Request], steps: dict[tuple[bytes, int], Step]
) -> None:
    roots = [prefix for prefix, _ in asked[::2]]
    differ = sum(steps[p.digest, 0].token_ids != steps[p.digest, 1].token_ids for p in roots)
    assert differ > 0.9 * len(roots)
    renamed = answer(generator(loaded, identity="another"), [(p, 0) for p in roots])
    assert sum(renamed[key].token_ids != steps[key].token_ids for key in renamed) > 0.9 * len(roots)
    assert len({step.token_ids for step in steps.values()}) > 0.9 * len(steps)  # every prefix has draws of its own


def test_greedy_steps_are_what_generate_writes(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    backend = generator(loaded, GREEDY)
    compared = 0
    for problem in problems(6):
        prefix = Prefix.of(problem.text)
        for _ in range(3):
            ids = sum((backend.reader.prompts.block_ids(node) for node in prefix.lineage()), [])
            with torch.inference_mode():
                written = model.generate(
                    torch.tensor([ids]),
                    attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                    do_sample=False,
                    max_new_tokens=12,
                    pad_token_id=tokenizer.pad_token_id,
                )[0, len(ids) :].tolist()
            (step,) = backend.run([(prefix, 0)])
            assert list(step.token_ids) == written[: step.tokens]
            assert step.prompt_tokens == len(ids)
            assert step.tokens == len(written) or SEPARATOR in step.text
            compared += step.tokens
            prefix = prefix.extend(step.text)
    assert compared > 60


def test_what_a_step_says_of_itself(
    loaded: tuple[Any, Any], asked: list[Request], steps: dict[tuple[bytes, int], Step]
) -> None:
    _, tokenizer = loaded
    for prefix, replicate in asked:
        step = steps[prefix.digest, replicate]
        ended = step.token_ids[-1] == tokenizer.eos_token_id
        assert tokenizer.eos_token_id not in step.token_ids[:-1]
        kept = step.token_ids[:-1] if ended else step.token_ids
        assert step.text == tokenizer.decode(kept, skip_special_tokens=True)
        assert 1 <= step.tokens <= 12
        separated = SEPARATOR in "".join(tokenizer.decode([i]) for i in kept)
        reason = FinishReason.END_OF_SEQUENCE if ended else FinishReason.LENGTH
        assert step.finish is (FinishReason.SEPARATOR if separated else reason)
        assert (step.finish is FinishReason.LENGTH) <= (step.tokens == 12)
        chat = [{"role": "user", "content": prefix.problem_text}]
        prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"]
        # A step that is empty (special tokens have no text) is read as one token.
        texts = [len(tokenizer.encode(text)) or 1 for text in prefix.steps]
        assert step.prompt_tokens == len(prompt) + sum(texts)
    assert all(count > 3 for count in Counter(step.finish for step in steps.values()).values())
    assert {step.finish for step in steps.values()} == set(FinishReason)


def test_a_prefix_that_fills_the_context_is_an_error(loaded: tuple[Any, Any]) -> None:
    backend = generator(loaded)
    backend.reader.max_length = 64
    prefix = Prefix.of("1 " + "a+1 " * 3 + "?")
    backend.run([(prefix, 0)])
    with pytest.raises(BackendError, match=r"within the model's 64 tokens; lower max_steps or max_step_tokens"):
        backend.run([(prefix.extend("a:1+1=2\n\n" * 6), 0)])


def test_a_block_that_fits_no_shape_is_an_error() -> None:
    assert [block_width(n) for n in (1, 8, 9, 2048)] == [8, 8, 16, 2048]
    with pytest.raises(BackendError, match="2049 tokens"):
        block_width(2049)


# --- the pair, whole --------------------------------------------------------------------


@pytest.fixture(scope="module")
def verifier(model_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PRM with a random head."""
    from trim.config.models import ClassifierPRM
    from trim.models.prm_kinds import PrmTraining, train_prm

    folder = tmp_path_factory.mktemp("prm")
    train_prm(ClassifierPRM(tuning_steps=0), PrmTraining([], model_folders["weak"], {}, {}, "seed"), folder)
    return folder


def open_models(
    folders: dict[str, Path], prm: Path, store: Path, *, offline: bool = False
) -> tuple[ModelPair, StepStore]:
    opened = StepStore(store, "part", offline)
    weak, strong = (PretrainedModel(name=str(folders[role])) for role in ("weak", "strong"))
    return open_pair(weak, strong, {"prm": prm}, LONG, opened, batch_size=8), opened


def solutions(episodes: Sequence[Episode]) -> list[list[tuple[int, ...]]]:
    return [[kept.step.token_ids for kept in episode.kept] for episode in episodes]


@pytest.mark.parametrize(("threshold", "equal"), [(0.0, WeakOnly()), (1.000001, StrongOnly())])
def test_extreme_thresholds_are_the_models_alone(
    model_folders: dict[str, Path], verifier: Path, tmp_path: Path, threshold: float, equal: Router
) -> None:
    some = problems(12)
    # Two stores: nothing is shared, everything is computed twice.
    ours, alone = (
        solve_all([Run(p, r, 0) for p in some], open_models(model_folders, verifier, tmp_path / name)[0], 4)
        for name, r in (("ours", Threshold(threshold)), ("alone", equal))
    )
    assert solutions(ours) == solutions(alone)
    for episode, other in zip(ours, alone, strict=True):
        assert episode.costs.strong_tokens == other.costs.strong_tokens
        assert episode.costs.weak_tokens == other.costs.weak_tokens
        assert episode.costs.prm_calls == len(episode.kept)
    assert len({len(solution) for solution in solutions(alone)}) > 1


def test_episodes_are_the_same_in_any_company_and_from_the_store(
    model_folders: dict[str, Path], verifier: Path, tmp_path: Path
) -> None:
    runs = [Run(p, Threshold(k), r) for p in problems(8) for k in (0.4, 0.6) for r in (0, 1)]
    pair, store = open_models(model_folders, verifier, tmp_path / "first")
    together = solve_all(runs, pair, 4)
    assert 0 < sum(e.costs.strong_calls for e in together) < sum(len(e.kept) for e in together)
    store.flush()
    assert misses(store) > 50
    pair, _ = open_models(model_folders, verifier, tmp_path / "first", offline=True)
    assert solve_all(runs, pair, 4) == together
    pair, _ = open_models(model_folders, verifier, tmp_path / "second")
    for i in random.Random(5).sample(range(len(runs)), 6):
        assert solve_all([runs[i]], pair, 4) == [together[i]]


def ask(pair: ModelPair, *texts: str) -> list[Any]:
    """Ask for the first step of several problems at once."""

    async def together() -> list[Any]:
        prefixes = [Prefix.of(text) for text in texts]
        return await asyncio.gather(*(pair.weak.step(p, 0) for p in prefixes), return_exceptions=True)

    return asyncio.run(together())


def test_a_problem_that_is_too_long_is_refused_alone(model_folders: dict[str, Path], tmp_path: Path) -> None:
    spec = PretrainedModel(name=str(model_folders["weak"]))
    pair = open_pair(spec, spec, {}, HOT, StepStore(tmp_path, "p", keeps=False), 4)
    first, long, other = ask(pair, "7 i+5?", "9" * 3000, "8 i+5?")
    assert isinstance(long, RefusedRequest) and "leaves no room for a step" in str(long)
    assert isinstance(first, Step) and isinstance(other, Step)
    assert ask(pair, "7 i+5?", "8 i+5?") == [first, other]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_after_an_error_within_a_pass_other_requests_are_answered(
    model_folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: Any
) -> None:
    spec = PretrainedModel(name=str(model_folders["weak"]), dtype=dtype)
    pair = open_pair(spec, spec, {}, HOT, StepStore(tmp_path, "p", keeps=False), 4)
    with monkeypatch.context() as patched:
        patched.setattr("trim.models.generator.sample", lambda *_: 1 / 0)
        assert all(isinstance(error, ZeroDivisionError) for error in ask(pair, "7 i+5?", "8 i+5?"))
    assert all(isinstance(step, Step) for step in ask(pair, "7 i+5?", "8 i+5?", "9 i+5?"))
