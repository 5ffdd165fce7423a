"""Served steps and scores: those of the transformers backend, whatever a server does on the way."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from fake_server import FakeServer, Model, Script, fake_vllm

from trim.config.datasets import ArithmeticFamily
from trim.config.models import PretrainedModel, Sampling, ServedModel, ServedPRM
from trim.config.serving import Endpoint, Role, Serving
from trim.errors import BackendError, ConfigError
from trim.files import write_json
from trim.models.opening import open_pair
from trim.models.protocols import SEPARATOR, FinishReason, ModelPair, Prefix, Step
from trim.models.served.models import is_degenerate, seed_of, write_step
from trim.models.served.servers import Servers
from trim.models.store import StepStore
from trim.models.tiny import STEP_TAG
from trim.problems.arithmetic import draw_problems
from trim.problems.problem import Problem
from trim.rollout.engine import Episode, Run, solve_all
from trim.routers.threshold import Threshold

GREEDY = Sampling(temperature=0.0, max_step_tokens=24)
WARM = Sampling(temperature=1.0, top_p=1.0, top_k=40, max_step_tokens=48)  # most steps end before
Fakes = dict[Role, FakeServer]
Specs = tuple[ServedModel, ServedModel, ServedPRM]


def problems(count: int) -> list[Problem]:
    family = ArithmeticFamily(min_steps=1, max_steps=4)
    return [problem for problem, _ in zip(draw_problems("p", family, random.Random(3)), range(count), strict=False)]


@pytest.fixture
def specs(model_folders: dict[str, Path], tmp_path: Path) -> Specs:
    """Models whose tokenizer is there, and whose steps and scores the fakes script."""
    known = tmp_path / "golden.json"
    write_json({"solutions": []}, known)
    weak, strong = (ServedModel(name=str(model_folders[role]), max_model_len=1024) for role in ("weak", "strong"))
    prm = ServedPRM(
        name=str(model_folders["weak"]), step_tag=STEP_TAG, keeps_separator=True, max_model_len=1024, golden=str(known)
    )
    return weak, strong, prm


@pytest.fixture
def fakes(specs: Specs, tokenizer: Any) -> Iterator[Fakes]:
    tag = tokenizer.convert_tokens_to_ids(STEP_TAG)
    with ExitStack() as stack:
        weak, strong, prm = (stack.enter_context(fake_vllm(Script(spec.name, tokenizer, tag))) for spec in specs)
        yield {"weak": weak, "strong": strong, "prm": prm}


@pytest.fixture
def tiny(model_folders: dict[str, Path], classifier_folder: Path, tokenizer: Any) -> Iterator[tuple[Fakes, Specs]]:
    """Servers of tiny models, and what is served."""
    tag = tokenizer.convert_tokens_to_ids(STEP_TAG)
    weak, strong = (ServedModel(name=str(model_folders[role]), max_model_len=1024) for role in ("weak", "strong"))
    prm = ServedPRM(name=str(classifier_folder), step_tag=STEP_TAG, keeps_separator=True, max_model_len=1024)
    models = (Model(Path(spec.name), step_tag_id=tag) for spec in (weak, strong, prm))
    with ExitStack() as stack:
        first, second, third = (stack.enter_context(fake_vllm(model)) for model in models)
        yield {"weak": first, "strong": second, "prm": third}, (weak, strong, prm)


def attached(fakes: Fakes, **serving: Any) -> Servers:
    endpoints = {role: Endpoint(url=fake.url) for role, fake in fakes.items()}
    return Servers(Serving(endpoints=endpoints, **{"retry_for": 20.0, **serving}), Path("unused"))


def run(fakes: Fakes, specs: Specs, store: StepStore, sampling: Sampling = GREEDY, **serving: Any) -> list[Episode]:
    """Solve some problems through the fakes; what was computed is stored, as in a job."""
    with closing(attached(fakes, **serving)) as servers:
        weak, strong, prm = specs
        pair = open_pair(weak, strong, {}, sampling, store, 1, prm=prm, servers=servers)
        try:
            return solve_all(runs(), pair, 6)
        finally:
            store.flush()


def runs() -> list[Run]:
    return [Run(problem, Threshold(0.5), replicate) for problem in problems(6) for replicate in (0, 1)]


def test_greedy_steps_and_scores_are_those_of_the_transformers_backend(
    tiny: tuple[Fakes, Specs], model_folders: dict[str, Path], classifier_folder: Path, tmp_path: Path
) -> None:
    fakes, specs = tiny
    steps = ("11 + 2 = 13\n\n", "so 13 * 2 = 26\n\n", "26 - 1 = 25\n\n")
    prefixes = [Prefix.of(problem.text, *steps[:depth]) for problem in problems(8) for depth in range(4)]

    async def ask(pair: ModelPair) -> list[tuple[Step, Step, float]]:
        assert pair.prm is not None
        weak = [await pair.weak.step(prefix, 0) for prefix in prefixes]
        strong = [await pair.strong.step(prefix, 0) for prefix in prefixes]
        scores = [(await pair.prm.score(p, step.text)).value for p, step in zip(prefixes, weak, strict=True)]
        return list(zip(weak, strong, scores, strict=True))

    weak, strong = (PretrainedModel(name=str(model_folders[role])) for role in ("weak", "strong"))
    store = StepStore(tmp_path / "own", "p")
    ours = asyncio.run(ask(open_pair(weak, strong, {"prm": classifier_folder}, GREEDY, store, batch_size=4)))
    with closing(attached(fakes)) as servers:
        pair = open_pair(*specs[:2], {}, GREEDY, StepStore(tmp_path / "b", "p"), 1, prm=specs[2], servers=servers)
        theirs = asyncio.run(ask(pair))
    plain = [(a, b) for a, b in zip(ours, theirs, strict=True) if not any(is_degenerate(step.text) for step in a[:2])]
    assert len(plain) > 0.8 * len(prefixes)  # where a step says nothing, the served model goes on writing
    for a, b in plain:
        assert a[:2] == b[:2]
        assert a[2] == pytest.approx(b[2], abs=1e-5)
    assert len({round(score, 3) for _, _, score in theirs}) > 5


def test_a_rerun_asks_for_nothing(fakes: Fakes, specs: Specs, tmp_path: Path) -> None:
    first = run(fakes, specs, StepStore(tmp_path, "p"), WARM)
    asked = sum(len(fake.requests) for fake in fakes.values())
    gone = {role: Endpoint(url="http://127.0.0.1:9") for role in fakes}
    weak, strong, prm = specs
    with closing(Servers(Serving(endpoints=gone), tmp_path)) as servers:
        pair = open_pair(weak, strong, {}, WARM, StepStore(tmp_path, "p", offline=True), 1, prm=prm, servers=servers)
        assert solve_all(runs(), pair, 6) == first
    assert sum(len(fake.requests) for fake in fakes.values()) == asked > 50


def test_requests_say_all_that_decides_a_step(fakes: Fakes, specs: Specs, tmp_path: Path) -> None:
    run(fakes, specs, StepStore(tmp_path, "p"), Sampling(temperature=0.7, top_p=0.8, top_k=20, max_step_tokens=24))
    requests = fakes["weak"].requests
    for request in requests:
        assert request["stop"] == [SEPARATOR]
        assert request["include_stop_str_in_output"] and request["return_token_ids"]
        assert (request["temperature"], request["top_p"], request["top_k"]) == (0.7, 0.8, 20)
        assert (request["min_p"], request["repetition_penalty"]) == (0.0, 1.0)  # a model's own defaults do not count
        assert 0 <= request["seed"] < 2**63
        assert all(type(i) is int for i in request["prompt"])
    assert len({request["seed"] for request in requests}) == len(requests)


def test_a_seed_hangs_on_model_prefix_and_replicate() -> None:
    prefix = Prefix.of("problem", "step\n\n")
    seeds = {seed_of("m", prefix, 0), seed_of("n", prefix, 0), seed_of("m", prefix, 1), seed_of("m", Prefix.of("p"), 0)}
    assert len(seeds) == 4
    assert seed_of("m", Prefix.of("problem", "step\n\n"), 0) in seeds


def test_no_more_requests_at_once_than_allowed(fakes: Fakes, specs: Specs, tmp_path: Path) -> None:
    fakes["weak"].faults = [0.05] * 20  # slow enough to meet each other
    run(fakes, specs, StepStore(tmp_path, "p"), concurrency=3)
    assert 1 < max(fake.most_at_once for fake in fakes.values()) <= 3


RECOVERED = [[500], [503, 429], ["drop"], [0.8]]
FATAL = [
    ("weak", "garbage", "answered no JSON"),
    ("weak", "half", "a completion lacks what a step needs"),
    ("weak", "empty", "a completion lacks what a step needs"),
    ("weak", 404, "status 404"),
    ("prm", "garbage", "answered no JSON"),
    ("prm", "half", "has . scores for . steps"),
    ("prm", "empty", "holds no class probabilities"),
]


@pytest.fixture
def undisturbed(fakes: Fakes, specs: Specs, tmp_path: Path) -> list[Episode]:
    return run(fakes, specs, StepStore(tmp_path / "undisturbed", "p"), WARM)


@pytest.mark.parametrize("faults", RECOVERED, ids=str)
@pytest.mark.parametrize("role", ["weak", "prm"])
def test_trouble_that_passes_changes_nothing(
    fakes: Fakes, specs: Specs, undisturbed: list[Episode], tmp_path: Path, role: Role, faults: list[Any]
) -> None:
    fakes[role].faults = [None, *faults]
    assert run(fakes, specs, StepStore(tmp_path / "s", "p"), WARM, request_timeout=0.4) == undisturbed
    assert not fakes[role].faults


@pytest.mark.parametrize(("role", "fault", "sentence"), FATAL)
def test_nonsense_is_one_clear_error_and_a_rerun_finishes(
    fakes: Fakes, specs: Specs, undisturbed: list[Episode], tmp_path: Path, role: Role, fault: Any, sentence: str
) -> None:
    fakes[role].faults = [None] * 8 + [fault]
    with pytest.raises(BackendError, match=rf"^the {role} server \(http://127[^)]*\): .*{sentence}"):
        run(fakes, specs, StepStore(tmp_path / "s", "p"), WARM)
    assert run(fakes, specs, StepStore(tmp_path / "s", "p"), WARM) == undisturbed


def test_trouble_that_does_not_pass_is_given_up(fakes: Fakes, specs: Specs, tmp_path: Path) -> None:
    fakes["weak"].faults = [500] * 1000
    with pytest.raises(BackendError, match=r"the weak server .*status 500: .*as told.*gave up after 0.2 s"):
        run(fakes, specs, StepStore(tmp_path, "p"), retry_for=0.2)


def test_a_server_with_another_step_tag_is_found_out(
    fakes: Fakes, specs: Specs, tokenizer: Any, tmp_path: Path
) -> None:
    with fake_vllm(Script(specs[2].name, tokenizer, 151651)) as wrong:  # vLLM's own default tag: status 200, no data
        with pytest.raises(BackendError, match=r"has 0 scores for . steps .*--pooler-config"):
            run({**fakes, "prm": wrong}, specs, StepStore(tmp_path, "p"))


def test_a_server_with_another_model_is_found_out(fakes: Fakes, specs: Specs, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"the weak server \(.*\) serves .*strong, not .*weak"):
        run({**fakes, "weak": fakes["strong"]}, specs, StepStore(tmp_path, "p"))


def test_a_server_that_reads_too_little_is_found_out(fakes: Fakes, specs: Specs, tmp_path: Path) -> None:
    longer = specs[0].model_copy(update={"max_model_len": 4096})
    with pytest.raises(BackendError, match="reads 2048 tokens, but max_model_len is 4096"):
        run(fakes, (longer, *specs[1:]), StepStore(tmp_path, "p"))


def test_something_else_than_vllm_is_found_out(fakes: Fakes, specs: Specs, tmp_path: Path) -> None:
    fakes["weak"].models = {"error": "who?"}
    with pytest.raises(BackendError, match="does not answer as vLLM does"):
        run(fakes, specs, StepStore(tmp_path, "p"))


def test_a_key_comes_from_the_environment(
    fakes: Fakes, specs: Specs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoints = {role: Endpoint(url=fake.url, key_env="TRIM_TEST_KEY") for role, fake in fakes.items()}
    weak, strong, prm = specs
    monkeypatch.delenv("TRIM_TEST_KEY", raising=False)
    for key in (None, "secret"):
        with closing(Servers(Serving(endpoints=endpoints), tmp_path)) as servers:
            pair = open_pair(weak, strong, {}, GREEDY, StepStore(tmp_path, "p"), 1, prm=prm, servers=servers)
            if key is None:  # only asked for when a step is missing
                with pytest.raises(ConfigError, match="endpoints.weak.key_env names TRIM_TEST_KEY, which is not in"):
                    solve_all(runs(), pair, 6)
                monkeypatch.setenv("TRIM_TEST_KEY", "secret")
            else:
                solve_all(runs()[:1], pair, 6)
    assert {headers["Authorization"] for fake in fakes.values() for headers in fake.headers} == {"Bearer secret"}
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_prefix_that_fills_the_context_ends_the_solution(fakes: Fakes, specs: Specs, tmp_path: Path) -> None:
    problem = problems(1)[0]
    with closing(attached(fakes)) as servers:
        spec = specs[0]
        step = _step(spec, servers, StepStore(tmp_path / "a", "p"), Prefix.of(problem.text))
        tight = spec.model_copy(update={"max_model_len": step.prompt_tokens + 2})
        assert _step(tight, servers, StepStore(tmp_path / "b", "p"), Prefix.of(problem.text)).tokens <= 2
        full = spec.model_copy(update={"max_model_len": step.prompt_tokens})
        asked = len(fakes["weak"].requests)
        nothing = _step(full, servers, StepStore(tmp_path / "c", "p"), Prefix.of(problem.text))
    assert nothing == Step("", (), step.prompt_tokens, FinishReason.LENGTH)
    assert nothing.is_final
    assert len(fakes["weak"].requests) == asked


def _step(spec: ServedModel, servers: Servers, store: StepStore, prefix: Prefix) -> Step:
    pair = open_pair(spec, spec, {}, GREEDY, store, 1, servers=servers)
    return asyncio.run(pair.weak.step(prefix, 0))


def test_the_oldest_steps_go_where_the_prm_reads_too_little(fakes: Fakes, specs: Specs, tmp_path: Path) -> None:
    problem, steps = problems(1)[0].text, [f"{i} + 1 = {i + 1}\n\n" for i in range(10, 40)]

    def score(prm: ServedPRM, *kept: str) -> float:
        pair = open_pair(
            specs[0], specs[1], {}, GREEDY, StepStore(tmp_path / str(len(kept)), "p"), 1, prm=prm, servers=servers
        )
        assert pair.prm is not None
        value = asyncio.run(pair.prm.score(Prefix.of(problem, *kept[:-1]), kept[-1]))
        assert value.prompt_tokens <= prm.max_model_len
        return value.value

    with closing(attached(fakes)) as servers:
        short = specs[2].model_copy(update={"max_model_len": 100})
        shortened = score(short, *steps)
        kept = sum(i == 4 for i in fakes["prm"].requests[-1]["input"])
        assert 2 < kept < len(steps)
        assert shortened == score(specs[2], *steps[-kept:]) != score(specs[2], *steps)
        with pytest.raises(BackendError, match="raise it, or lower sampling.max_step_tokens"):
            score(short, "1" * 90 + SEPARATOR)


def test_a_step_that_says_nothing_is_written_on() -> None:
    written = {0: "---\n\n", 1: "1 + 1 = 2\n\n"}

    async def write(prefix: Prefix, replicate: int) -> Step:
        return Step(written[prefix.depth], (7,) * (prefix.depth + 2), 10, FinishReason.SEPARATOR)

    step = asyncio.run(write_step(write, Prefix.of("p"), 0))
    assert step == Step("1 + 1 = 2\n\n", (7,) * 5, 10, FinishReason.SEPARATOR)
    written[1] = "***\n\n"  # once only
    assert asyncio.run(write_step(write, Prefix.of("p"), 0)).text == "***\n\n"
    assert [text for text in ("", "\n\n", "---", "_ _\n", "$$", "\\[", "x", "7", "é", "答") if is_degenerate(text)] == [
        "", "\n\n", "---", "_ _\n", "$$", "\\["
    ]  # fmt: skip
