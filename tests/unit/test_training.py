"""Training of the tiny language models: what they see, what they learn, what is kept."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from trim.config.experiment import ArithmeticFamily
from trim.config.models import Architecture, Sampling, TrainedModel
from trim.models import language_model
from trim.models.language_model import accuracy_alone, train_language_model
from trim.models.protocols import FinishReason, Prefix, Step
from trim.models.tiny import ASSISTANT, END, USER, build_config
from trim.models.training import Optimiser, SolutionStream, pad, solution_loss, stream_batches
from trim.problems.arithmetic import draw_problems, parse_program
from trim.problems.problem import Problem
from trim.problems.splits import split_of

FAMILIES = {
    "plain": ArithmeticFamily(min_steps=4, max_steps=5),
    "words": ArithmeticFamily(min_steps=6, max_steps=7, wording="words"),
}
SHAPE = Architecture(hidden_size=32, layers=1, heads=2, intermediate_size=48)


def stream(tokenizer: Any, seed: str = "seed", words: float = 1.0) -> SolutionStream:
    return SolutionStream(tokenizer, FAMILIES, {"plain": 1.0, "words": words}, 8, seed)


def fresh_model(tokenizer: Any) -> Any:
    from transformers import Qwen2ForCausalLM

    torch.manual_seed(0)
    return Qwen2ForCausalLM(build_config(SHAPE, tokenizer))


# --- what they see ----------------------------------------------------------------------


def drawn_texts(tokenizer: Any, batches: Sequence[Any]) -> list[tuple[str, str]]:
    """Return problems and solutions; a problem stands in its chat template."""
    texts = [(tokenizer.decode(p), tokenizer.decode(s)) for batch in batches for p, s in batch]
    assert all(prompt.startswith(USER) and prompt.endswith(ASSISTANT) for prompt, _ in texts)
    return [(prompt.removeprefix(USER).removesuffix(ASSISTANT), solution) for prompt, solution in texts]


def test_only_training_programs_with_their_right_solutions(tokenizer: Any) -> None:
    texts = drawn_texts(tokenizer, stream(tokenizer).batches())
    assert len(texts) == 160
    for problem, solution in texts:
        program = parse_program(problem)
        assert split_of(program.fingerprint()) == "lm_train"
        assert solution == "".join(program.steps()) + END


def test_families_come_in_their_shares_with_short_ones_among_them(tokenizer: Any) -> None:
    def count(batches: Sequence[Any]) -> list[int]:
        lengths = [len(parse_program(problem).instructions) for problem, _ in drawn_texts(tokenizer, batches)]
        return [sum(n in kind for n in lengths) for kind in ((1, 2, 3), (4, 5), (6, 7))]

    source = stream(tokenizer, words=3.0)
    short, plain, words = count(source.batches() + source.batches())
    assert short + plain + words == 320
    assert short == pytest.approx(64, abs=28)  # 20 %
    assert plain == pytest.approx(64, abs=28)  # a quarter of the rest
    short, plain, words = count(source.batches(short_share=0.85))
    assert short == pytest.approx(136, abs=20)
    assert words > plain


def test_batches_hold_problems_of_similar_length(tokenizer: Any) -> None:
    def spread(batches: Sequence[Any]) -> float:
        return sum(max(map(len, s)) - min(map(len, s)) for s in ([p + q for p, q in batch] for batch in batches))

    batches = stream(tokenizer).batches()
    everything = [pair for batch in batches for pair in batch]
    random.Random(0).shuffle(everything)
    mixed = [everything[i : i + 8] for i in range(0, len(everything), 8)]
    assert spread(batches) < spread(mixed) / 3
    longest = [max(len(p) + len(s) for p, s in batch) for batch in batches]
    assert longest != sorted(longest)  # but they come in random order


def test_a_stream_is_a_function_of_its_seed(tokenizer: Any) -> None:
    first, again = stream(tokenizer), stream(tokenizer)
    one = first.batches()
    assert one == again.batches()
    assert one != first.batches() == again.batches()
    assert one != stream(tokenizer, "other").batches()


def test_the_warm_up_sees_short_problems_mostly(tokenizer: Any) -> None:
    batches = list(stream_batches(stream(tokenizer), 40, 0.4))
    assert len(batches) == 40
    lengths = [[len(parse_program(p).instructions) for p, _ in drawn_texts(tokenizer, [batch])] for batch in batches]
    short = [sum(n <= 3 for n in sum(part, [])) for part in (lengths[:16], lengths[16:])]
    assert short[0] > 0.7 * 16 * 8
    assert short[1] < 0.5 * 24 * 8


# --- what they learn --------------------------------------------------------------------


def test_padding_has_no_influence_on_the_loss(tokenizer: Any) -> None:
    model = fresh_model(tokenizer).double()
    batch = max(stream(tokenizer).batches(), key=lambda b: max(len(p) + len(s) for p, s in b))
    batch = [*batch[:4], *min(stream(tokenizer).batches(), key=lambda b: len(b[0][0]))[:4]]
    assert len({len(p) + len(s) for p, s in batch}) > 3
    with torch.no_grad():
        losses = [(float(solution_loss(model, [pair])), len(pair[1])) for pair in batch]
        together = float(solution_loss(model, batch))
    assert together == pytest.approx(sum(loss * n for loss, n in losses) / sum(n for _, n in losses), abs=1e-9)


def test_the_loss_is_that_of_the_solution_given_the_problem(tokenizer: Any) -> None:
    model = fresh_model(tokenizer)
    prompt, solution = stream(tokenizer).batches()[0][0]
    with torch.no_grad():
        logprobs = model(torch.tensor([prompt + solution])).logits[0].log_softmax(-1)
        own = [logprobs[len(prompt) + i - 1, token] for i, token in enumerate(solution)]
        assert float(solution_loss(model, [(prompt, solution)])) == pytest.approx(-float(torch.stack(own).mean()), 1e-5)


def test_sequences_are_padded_to_a_multiple_of_eight() -> None:
    assert pad([[1, 2, 3], [4] * 9], -1).tolist() == [[1, 2, 3] + [-1] * 13, [4] * 9 + [-1] * 7]


def test_thirty_steps_lower_the_loss(tokenizer: Any) -> None:
    model = fresh_model(tokenizer)
    optimiser = Optimiser(model, 30, 3e-3, 0.011, 0.4)
    source = stream(tokenizer)
    held_out = stream(tokenizer, "held out").batches()[:4]

    def measure() -> float:
        with torch.no_grad():
            return sum(float(solution_loss(model, batch)) for batch in held_out) / len(held_out)

    before = measure()
    for position, batch in enumerate(source.batches() + source.batches()[:10]):
        solution_loss(model, batch).backward()
        optimiser.step(position)
    assert before == pytest.approx(torch.tensor(len(tokenizer)).log().item(), abs=0.3)  # knows nothing
    assert measure() < 0.85 * before


def test_rates_rise_hold_and_fall(tokenizer: Any) -> None:
    model = fresh_model(tokenizer)
    optimiser = Optimiser(model, 100, 1.0, 10.0, 0.4)

    def rates(position: int) -> list[float]:
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimiser.step(position)
        return [group["lr"] for part, _ in optimiser._parts for group in part.param_groups]

    assert rates(0) == pytest.approx([10 / 30, 1 / 30])
    assert rates(29) == rates(60) == pytest.approx([10, 1])
    assert rates(80) == pytest.approx([5, 0.5])
    assert rates(99) == pytest.approx([0.25, 0.025])


# --- what is kept -----------------------------------------------------------------------


def dev_problems(count: int) -> list[Problem]:
    family = ArithmeticFamily(min_steps=1, max_steps=3)
    return [p for p, _ in zip(draw_problems("dev", family, random.Random(1)), range(count), strict=False)]


def spec(**changes: Any) -> TrainedModel:
    given = {"architecture": SHAPE, "training_steps": 12, "batch_problems": 4, "check_every": 2, "check_from": 0.3}
    return TrainedModel(**{**given, "accuracy_band": (0.25, 0.45), "stop_at": 0.35, **changes})


def train(folder: Path, seed: str = "seed", **changes: Any) -> dict[str, Any]:
    mix = {"plain": 0.5, "words": 0.5}
    sampling = Sampling(max_step_tokens=12)
    return train_language_model(spec(**changes), FAMILIES, mix, dev_problems(8), sampling, seed, folder)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> tuple[list[float], list[dict[str, torch.Tensor]]]:
    """Script what looks at dev accuracy find, and keep the weights they looked at."""
    accuracies: list[float] = []
    weights: list[dict[str, torch.Tensor]] = []

    def look(model: Any, *_: Any) -> float:
        weights.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return accuracies[len(weights) - 1]

    monkeypatch.setattr(language_model, "accuracy_alone", look)
    return accuracies, weights


@pytest.mark.parametrize(
    ("found", "steps", "picked", "in_band"),
    [
        ([0.1, 0.3, 0.2, 0.1, 0.15], [4, 6, 8, 10, 12], 1, True),
        ([0.1, 0.2, 0.2, 0.1, 0.1], [4, 6, 8, 10, 12], 2, False),  # of equals the later one
        ([0.1, 0.36, 0.9], [4, 6], 1, True),  # the aim is reached: training stops
        ([0.32, 0.6], [4, 6], 0, True),  # overshot: an earlier one is nearer
    ],
)
def test_the_snapshot_nearest_to_the_aim_is_saved(
    tmp_path: Path, looks: Any, found: list[float], steps: list[int], picked: int, in_band: bool
) -> None:
    from safetensors.torch import load_file

    accuracies, weights = looks
    accuracies.extend(found)
    metrics = train(tmp_path / "model")
    assert [s["training_step"] for s in metrics["snapshots"]] == steps
    assert metrics["picked"] == {"training_step": steps[picked], "accuracy": found[picked]}
    assert metrics["in_band"] is in_band
    saved = load_file(tmp_path / "model" / "model.safetensors")
    assert all(torch.equal(saved[name], weights[picked][name]) for name in saved)
    others = [w for i, w in enumerate(weights) if i != picked]
    assert not any(all(torch.equal(saved[name], w[name]) for name in saved) for w in others)


def test_training_is_a_function_of_the_seed(tmp_path: Path) -> None:
    changes = {"training_steps": 4, "check_from": 1.0}
    seen = [train(tmp_path / name, seed, **changes) for name, seed in (("a", "s"), ("b", "s"), ("c", "t"))]
    assert seen[0] == seen[1]
    first, again, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert first == again != other
    assert seen[0]["training_tokens"] > 500


def test_a_trained_folder_loads_as_it_is(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    metrics = train(tmp_path / "model", training_steps=2, check_from=1.0)
    model, info = AutoModelForCausalLM.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(info.values())
    assert model.num_parameters() == metrics["parameters"]
    assert AutoTokenizer.from_pretrained(tmp_path / "model").chat_template


def test_accuracy_alone_is_the_share_of_right_final_answers(monkeypatch: pytest.MonkeyPatch, tokenizer: Any) -> None:
    problems = dev_problems(40)
    wrong = {p.text for p in problems[::4]}
    endless = {p.text for p in problems[1::4]}

    class Perfect:
        """Writes right solutions; some with another answer, some without end."""

        def __init__(self, *_: Any) -> None:
            pass

        def run(self, requests: Sequence[tuple[Prefix, int]]) -> list[Step]:
            return [self.step(prefix) for prefix, _ in requests]

        def step(self, prefix: Prefix) -> Step:
            steps = parse_program(prefix.problem_text).steps()
            if prefix.problem_text in endless:
                return Step("on\n\n", (1,), 0, FinishReason.SEPARATOR)
            text = steps[prefix.depth]
            if prefix.problem_text in wrong:
                text = text.replace("boxed{", "boxed{1")
            final = prefix.depth == len(steps) - 1
            return Step(text, (1,), 0, FinishReason.END_OF_SEQUENCE if final else FinishReason.SEPARATOR)

    monkeypatch.setattr(language_model, "StepGenerator", Perfect)
    assert accuracy_alone(fresh_model(tokenizer), tokenizer, problems, Sampling(), max_steps=6) == 0.5
