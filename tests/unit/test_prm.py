"""Process reward models: trained for two steps, saved, loaded, and asked."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from prm_traces import FAMILY, TRACES, make_traces, prefixes

from trim.config.models import ClassifierPRM, LikelihoodPRM
from trim.config.section import Section
from trim.errors import InputError, StoreError
from trim.models import prm_kinds
from trim.models.batching import BatchedStepScorer, BatchLoop
from trim.models.fingerprint import fingerprint_model
from trim.models.kept import Kept
from trim.models.model_kinds import ReaderSource
from trim.models.prm import StepJudge
from trim.models.prm_kinds import PrmKind, PrmTraining, Trace, load_prm, train_prm
from trim.models.prm_training import step_labels
from trim.models.protocols import Prefix, Score
from trim.models.tiny import STEP_TAG
from trim.progress import Progress

KINDS = ("likelihood", "classifier")


def train(
    kind: str, backbone: Path, folder: Path, steps: int = 2, seed: str = "seed", traces: Sequence[Trace] = TRACES
) -> Path:
    if kind == "likelihood":
        spec = LikelihoodPRM(tuning_steps=steps)
        train_prm(spec, PrmTraining(traces, backbone, {"a": FAMILY}, {"a": 1.0}, seed), folder)
    else:
        train_prm(ClassifierPRM(tuning_steps=steps), PrmTraining(traces, backbone, {}, {}, seed), folder)
    return folder


@pytest.fixture(scope="module")
def folders(model_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: train(kind, model_folders["strong"], tmp_path_factory.mktemp(kind)) for kind in KINDS}


def judge_all(judge: StepJudge, requests: Sequence[Prefix]) -> dict[bytes, Score]:
    buckets: dict[Any, list[Prefix]] = {}
    for prefix in requests:
        buckets.setdefault(judge.bucket(prefix), []).append(prefix)
    scores = {}
    for bucket in buckets.values():
        for start in range(0, len(bucket), judge.batch_size):
            batch = bucket[start : start + judge.batch_size]
            scores.update(zip((p.digest for p in batch), judge.run(batch), strict=True))
    return scores


def test_traces_hold_right_and_wrong_steps() -> None:
    labels = [label for trace in TRACES for label in trace.labels]
    assert 0.1 < sum(labels) / len(labels) < 0.9


def test_behind_a_wrong_step_no_step_is_right_by_global_labels(model_folders: dict[str, Path], tmp_path: Path) -> None:
    trace = Trace("p", ("a", "b", "c", "d"), (True, False, True, False), False, "weak-only")
    assert step_labels(trace, "local") == (True, False, True, False)
    assert step_labels(trace, "global") == (True, False, False, False)
    told = [replace(trace, labels=step_labels(trace, "global")) for trace in TRACES]
    assert told != list(TRACES)
    trainings = {
        "global": (ClassifierPRM(tuning_steps=2, labels="global"), TRACES),
        "told": (ClassifierPRM(tuning_steps=2), told),
        "local": (ClassifierPRM(tuning_steps=2), TRACES),
    }
    weights = {}
    for name, (spec, traces) in trainings.items():
        train_prm(spec, PrmTraining(traces, model_folders["weak"], {}, {}, "seed"), tmp_path / name)
        weights[name] = (tmp_path / name / "model.safetensors").read_bytes()
    assert weights["global"] == weights["told"] != weights["local"]


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_probabilities_of_single_steps(folders: dict[str, Path], kind: str) -> None:
    scores = judge_all(load_prm(folders[kind], batch_size=16), prefixes(TRACES))
    assert all(0 <= score.value <= 1 for score in scores.values())
    assert len({score.value for score in scores.values()}) > 0.8 * len(scores)


@pytest.mark.parametrize("kind", KINDS)
def test_a_score_does_not_depend_on_the_batch_or_the_cache(folders: dict[str, Path], kind: str) -> None:
    asked = prefixes(TRACES[:25])
    together = judge_all(load_prm(folders[kind], batch_size=8), asked)
    shuffled = random.Random(1).sample(asked, len(asked))
    assert judge_all(load_prm(folders[kind], batch_size=8), shuffled) == together
    forgetful = load_prm(folders[kind], batch_size=8, cache_bytes=0)
    for prefix in asked[::6]:
        assert forgetful.run([prefix]) == [together[prefix.digest]]


def reference_scores(folder: Path, kind: str, trace: Trace) -> list[float]:
    """Score a trace in one plain forward pass over its tokens."""
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tag = tokenizer.convert_tokens_to_ids(STEP_TAG)
    chat = [{"role": "user", "content": trace.problem}]
    ids = tokenizer.encode(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))
    spans = []
    for step in trace.steps:
        block = tokenizer.encode(step) + [tag] * (kind == "classifier")
        spans.append((len(ids), len(ids) + len(block)))
        ids = ids + block
    with torch.no_grad():
        if kind == "classifier":
            w = load_file(folder / "model.safetensors")
            hidden = AutoModel.from_pretrained(folder)(torch.tensor([ids])).last_hidden_state[0]
            inner = torch.relu(hidden @ w["score.0.weight"].T + w["score.0.bias"])
            right = (inner @ w["score.2.weight"].T + w["score.2.bias"]).softmax(-1)[:, 1]
            return [float(right[end - 1]) for _, end in spans]
        w = load_file(folder / "prm_head.safetensors")
        model = AutoModelForCausalLM.from_pretrained(folder)
        output = model(torch.tensor([ids]), output_hidden_states=True)
        logprobs = output.logits[0].log_softmax(-1)
        scores = []
        for start, end in spans:
            own = torch.stack([logprobs[i - 1, ids[i]] for i in range(start, end)])
            features = [output.hidden_states[-1][0, end - 1], -(-own.min()).sqrt()[None], -(-own.mean()).sqrt()[None]]
            inner = torch.tanh(w["layers.0.weight"] @ torch.cat(features) + w["layers.0.bias"])
            scores.append(float(torch.sigmoid(w["layers.2.weight"] @ inner + w["layers.2.bias"])))
        return scores


@pytest.mark.parametrize("kind", KINDS)
def test_scores_agree_with_a_plain_forward_pass(folders: dict[str, Path], kind: str) -> None:
    judge = load_prm(folders[kind], batch_size=4)
    for trace in TRACES[:6]:
        ours = [judge.run([prefix])[0].value for prefix in prefixes([trace])]
        assert ours == pytest.approx(reference_scores(folders[kind], kind, trace), abs=2e-5)


def test_the_head_is_trained_on_what_it_is_asked_with(folders: dict[str, Path]) -> None:
    from trim.models.prm_training import _encode, _features
    from trim.models.prompts import PrefixTokenizer
    from trim.models.transformers_backend import FixedShapeReader, load_model

    model, tokenizer = load_model(folders["likelihood"])
    some = TRACES[:4]
    with torch.no_grad():
        hidden, minimum, mean, labels = _features(model, [_encode(tokenizer, trace, None, "local") for trace in some])
    states = FixedShapeReader(model, PrefixTokenizer(tokenizer), outputs="likelihood").read(prefixes(some))
    torch.testing.assert_close(hidden, torch.stack([s.hidden for s in states]), atol=1e-4, rtol=1e-4)
    expected = torch.stack([s.likelihood for s in states])
    torch.testing.assert_close(torch.stack([minimum, mean], 1), expected, atol=1e-3, rtol=1e-4)
    assert labels.tolist() == [float(label) for trace in some for label in trace.labels]


def test_the_step_tag_stands_once_behind_each_step(folders: dict[str, Path], tokenizer: Any) -> None:
    tag = tokenizer.convert_tokens_to_ids(STEP_TAG)
    classifier, likelihood = (load_prm(folders[kind], batch_size=4) for kind in ("classifier", "likelihood"))
    for prefix in prefixes(TRACES[:5]):
        plain = tokenizer.encode(prefix.text)
        assert classifier.reader.prompts.block_ids(prefix) == [*plain, tag]
        assert likelihood.reader.prompts.block_ids(prefix) == plain
        read = classifier.run([prefix])[0].prompt_tokens
        assert read == likelihood.run([prefix])[0].prompt_tokens + prefix.depth
    root = Prefix.of(TRACES[0].problem)
    assert tag not in classifier.reader.prompts.block_ids(root)
    assert classifier.reader.prompts.block_ids(root.extend("")) == [tokenizer.eos_token_id, tag]


def test_a_scorer_gives_one_score_a_step(folders: dict[str, Path]) -> None:
    import asyncio

    from trim.rollout.tables import score_steps

    judge = load_prm(folders["likelihood"], batch_size=4)
    trace = max(TRACES, key=lambda t: len(t.steps))
    scorer = BatchedStepScorer(judge, "prm", BatchLoop())
    scores = asyncio.run(score_steps(trace.problem, trace.steps, scorer))
    assert scores == [judge.run([prefix])[0].value for prefix in prefixes([trace])]


def test_a_classifier_has_the_layout_of_qwens_process_reward_model(folders: dict[str, Path]) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModel

    folder = folders["classifier"]
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["Qwen2ForProcessRewardModel"]
    assert config["model_type"] == "qwen2"
    weights = load_file(folder / "model.safetensors")
    heads = {name: tuple(tensor.shape) for name, tensor in weights.items() if not name.startswith("model.")}
    assert heads == {
        "score.0.weight": (32, 32),
        "score.0.bias": (32,),
        "score.2.weight": (2, 32),
        "score.2.bias": (2,),
    }
    body = AutoModel.from_pretrained(folder).state_dict()
    assert {f"model.{name}" for name in body} == set(weights) - set(heads)
    assert all(torch.equal(tensor, weights[f"model.{name}"]) for name, tensor in body.items())


def test_a_likelihood_prm_is_a_language_model_beside_its_head(folders: dict[str, Path]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _, info = AutoModelForCausalLM.from_pretrained(folders["likelihood"], output_loading_info=True)
    assert not any(info.values())
    assert AutoTokenizer.from_pretrained(folders["likelihood"]).chat_template
    assert (folders["likelihood"] / "prm_head.safetensors").exists()
    assert json.loads((folders["likelihood"] / "prm.json").read_text())["tuning_steps"] == 2


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_a_function_of_the_seed(
    folders: dict[str, Path], model_folders: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    again = train(kind, model_folders["strong"], tmp_path / "again")
    other = train(kind, model_folders["strong"], tmp_path / "other", seed="another")
    for name in ("model.safetensors", "prm.json", *(["prm_head.safetensors"] * (kind == "likelihood"))):
        assert (again / name).read_bytes() == (folders[kind] / name).read_bytes()
    assert (other / "model.safetensors").read_bytes() != (again / "model.safetensors").read_bytes()


def test_without_tuning_a_likelihood_prm_keeps_its_backbone_and_calibrates_its_head(
    model_folders: dict[str, Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    folder = train("likelihood", model_folders["strong"], tmp_path / "untuned", steps=0, traces=make_traces(200))
    before, after = (load_file(f / "model.safetensors") for f in (model_folders["strong"], folder))
    assert all(torch.equal(before[name], after[name]) for name in before)
    scores = judge_all(load_prm(folder, batch_size=16), prefixes(TRACES))
    values = torch.tensor([scores[prefix.digest].value for prefix in prefixes(TRACES)])
    labels = torch.tensor([label for trace in TRACES for label in trace.labels])
    assert float(values.mean()) == pytest.approx(float(labels.float().mean()), abs=0.06)
    assert values[labels].mean() > values[~labels].mean() + 0.15


def test_tuning_a_classifier_lowers_its_loss(model_folders: dict[str, Path], tmp_path: Path) -> None:
    def loss(steps: int) -> float:
        judge = load_prm(train("classifier", model_folders["weak"], tmp_path / str(steps), steps), batch_size=16)
        scores = judge_all(judge, prefixes(TRACES))
        labels = [label for trace in TRACES for label in trace.labels]
        values = torch.tensor([scores[prefix.digest].value for prefix in prefixes(TRACES)]).double()
        return float(torch.nn.functional.binary_cross_entropy(values, torch.tensor(labels).double()))

    assert loss(25) < 0.9 * loss(1)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"prm.json does not say which PRM this is \(.*\); train it"),
        ("{", r"prm.json does not say which PRM this is \(.*\); train it"),
        ('{"backbone": "weak"}', r"prm.json does not say which PRM this is \('kind'\); train it"),
        ('{"kind": "oracle"}', "there is no PRM kind 'oracle'; there are likelihood, classifier, value, confidence"),
    ],
)
def test_a_folder_that_holds_no_known_prm_gets_a_sentence(content: str | None, sentence: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "prm.json").write_text(content)
    with pytest.raises(InputError, match=f"^{tmp_path}: {sentence}$"):
        load_prm(tmp_path)


class ConstantPRM(Section):
    kind: Literal["constant"] = "constant"
    value: float = 0.5


def train_constant(spec: ConstantPRM, training: PrmTraining, folder: Path, on_progress: Progress | None = None) -> None:
    folder.mkdir()
    (folder / "constant").write_text(f"{spec.value} {len(training.traces)}")


def load_constant(folder: Path, device: str, **reader: Any) -> tuple[str, str, Any]:
    return (folder / "constant").read_text(), device, reader


def test_a_kind_of_another_package_is_trained_and_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = PrmKind(ConstantPRM, f"{__name__}:train_constant", f"{__name__}:load_constant")
    monkeypatch.setattr(prm_kinds, "added", lambda group: {"constant": kind} if group == "trim.prms" else {})
    assert list(prm_kinds.prm_kinds()) == ["likelihood", "classifier", "value", "confidence", "constant"]
    train_prm(ConstantPRM(value=0.25), PrmTraining(TRACES, None, {}, {}, "seed"), tmp_path / "prm")
    assert json.loads((tmp_path / "prm/prm.json").read_text()) == {"kind": "constant", "value": 0.25}
    assert load_prm(tmp_path / "prm", batch_size=3) == ("0.25 40", "cpu", {"batch_size": 3})


# --- kept in the step store -------------------------------------------------------------


@pytest.fixture
def constant_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two kinds that leave a constant behind; PRMs of one of them are kept."""
    where = f"{__name__}:train_constant", f"{__name__}:load_constant"
    kinds = {"constant": PrmKind(ConstantPRM, *where, kept=True), "other": PrmKind(ConstantPRM, *where)}
    monkeypatch.setattr(prm_kinds, "added", lambda group: kinds if group == "trim.prms" else {})


def training(count: int = 40, backbone: Path | None = None, seed: str = "seed") -> PrmTraining:
    return PrmTraining(TRACES[:count], backbone, {}, {}, seed)


def test_a_kept_prm_is_trained_once_and_is_the_same_model_afterwards(
    constant_kinds: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, spec = Kept(tmp_path / "store"), ConstantPRM(value=0.25)
    train_prm(spec, training(), tmp_path / "first", kept=kept)
    monkeypatch.setattr(prm_kinds, "_train", None)  # is not called again
    for offline in (False, True):
        folder = tmp_path / f"offline {offline}"
        train_prm(spec, training(), folder, kept=Kept(kept.root, offline))
        assert load_prm(folder)[0] == "0.25 40"
        assert fingerprint_model(str(folder), None) == fingerprint_model(str(tmp_path / "first"), None)
        assert {path.name for path in folder.iterdir()} == {"constant", "prm.json"}


def test_all_that_decides_a_prm_tells_kept_ones_apart(
    constant_kinds: None, tmp_path: Path, model_folders: dict[str, Path]
) -> None:
    cases = [
        training().facts(ConstantPRM(), 1),
        training().facts(ConstantPRM(value=0.1), 1),
        training().facts(ConstantPRM(), 2),
        training(count=39).facts(ConstantPRM(), 1),
        training(seed="other").facts(ConstantPRM(), 1),
        *(training(backbone=folder).facts(ConstantPRM(), 1) for folder in model_folders.values()),
        *(replace(training(), reader=ReaderSource(name, Mock())).facts(ConstantPRM(), 1) for name in ("a", "b")),
    ]
    assert len({Kept(tmp_path).place("prms", facts) for facts in cases}) == len(cases)
    assert training().facts(ConstantPRM(), 1) == cases[0]


def test_offline_a_prm_that_is_not_kept_is_one_sentence(constant_kinds: None, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with pytest.raises(StoreError, match="offline, and no PRM of kind 'constant' .* import the experiment's archive"):
        train_prm(ConstantPRM(), training(), tmp_path / "prm", kept=Kept(store, offline=True))
    assert not store.exists() and not (tmp_path / "prm").exists()


def test_a_kind_that_is_not_kept_is_trained_each_time_and_leaves_nothing(
    constant_kinds: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ConstantPRM.model_construct(kind="other", value=0.5)
    for offline in (False, True):
        train_prm(spec, training(), tmp_path / str(offline), kept=Kept(tmp_path / "store", offline))
        assert (tmp_path / str(offline) / "constant").read_text() == "0.5 40"
    assert not (tmp_path / "store").exists()
    kept = {name for name, kind in prm_kinds.prm_kinds().items() if kind.kept}
    assert kept == {"constant", "value"}


def test_noise_lies_on_the_logit_and_belongs_to_the_step() -> None:
    from trim.models.noise import disturbed

    digests = [bytes([i, j]) for i in range(64) for j in range(64)]
    logits = [np.log(value / (1 - value)) for value in (disturbed(0.7, 2.0, digest) for digest in digests)]
    assert np.mean(logits) == pytest.approx(np.log(0.7 / 0.3), abs=0.1)
    assert np.std(logits) == pytest.approx(2.0, rel=0.05)
    assert disturbed(0.7, 2.0, digests[5]) == disturbed(0.7, 2.0, digests[5])
    assert 0 < disturbed(0.0, 3.0, digests[0]) < 1 and 0 < disturbed(1.0, 3.0, digests[1]) < 1


def test_a_noisy_prm_disturbs_another() -> None:
    from trim.models.noise import NoisyScorer, disturbed
    from trim.models.protocols import Score

    class Sure:
        identity = "sure"

        async def score(self, prefix, step) -> Score:
            return Score(0.9, 7)

    prefix = Prefix.of("a problem")
    scored = asyncio.run(NoisyScorer(Sure(), 1.5).score(prefix, "a step"))
    assert scored == Score(disturbed(0.9, 1.5, prefix.extend("a step").digest), 7)
    assert scored.value != 0.9
    assert NoisyScorer(Sure(), 1.5).identity != NoisyScorer(Sure(), 2.0).identity
