"""The real pair of `config/qwen_gsm8k.yaml` on real vLLM servers, against our own code. Opt-in, as `test_vllm.py`.

Its models lie where the experiment left them: `step_store/gguf`, or the folder that TRIM_TEST_GGUF names.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch

from benchmarks.cpu_generation import SYSTEM, draw_prompts
from trim.config.models import GgufModel, PretrainedModel, Sampling, ServedModel
from trim.config.reading import read_experiment
from trim.config.serving import ServerOptions, Serving
from trim.models.opening import open_pair
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import ModelPair, Prefix, Step
from trim.models.served.servers import Servers
from trim.models.store import StepStore
from trim.models.transformers_backend import load_model
from trim.problems.problem import Problem
from trim.rollout.engine import Run, solve_all
from trim.routers.controls import StrongOnly, WeakOnly

PYTHON = os.environ.get("TRIM_TEST_VLLM")
if PYTHON is None:
    pytest.skip("needs vLLM in an environment of its own: make test-vllm", allow_module_level=True)

GREEDY = Sampling(temperature=0.0, max_step_tokens=128)
ROUTERS = {"weak": WeakOnly(), "strong": StrongOnly()}
ROOT = Path(__file__).parents[2]
TIE = 0.25  # logits from 16 to 32 stand 0.125 apart in bfloat16


@pytest.fixture(scope="module")
def folders() -> dict[str, Path]:
    pair = read_experiment(ROOT, [ROOT / "config/qwen_gsm8k.yaml"]).pair
    found = {}
    for role in ROUTERS:
        spec = getattr(pair, role)
        assert isinstance(spec, GgufModel)
        found[role] = Path(os.environ.get("TRIM_TEST_GGUF", "step_store/gguf")) / spec.sha256[:16]
        if not (found[role] / "config.json").exists():
            pytest.skip(f"needs {found[role]}, which a run of config/qwen_gsm8k.yaml with its models leaves")
    return found


@pytest.fixture(scope="module")
def servers(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    serving = Serving(
        command=(str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model"),
        environment={"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"},
        servers={role: ServerOptions(arguments=("--dtype", "bfloat16", "--enforce-eager")) for role in folders},
    )
    with closing(Servers(serving, tmp_path_factory.mktemp("logs"))) as servers:
        yield servers


def first_steps(pair: ModelPair, role: str, problems: list[Problem]) -> list[Step]:
    return [episode.kept[0].step for episode in solve_all([Run(p, ROUTERS[role], 0) for p in problems], pair, 1)]


def behind_the_best(folder: Path, problems: list[Problem], steps: list[Step]) -> list[float]:
    """How far each step's least likely token is behind the likeliest one, in logits of the plain model."""
    model, tokenizer = load_model(folder, dtype="bfloat16")
    prompts, gaps = PrefixTokenizer(tokenizer, system=SYSTEM), []
    for problem, step in zip(problems, steps, strict=True):
        prompt, tokens = prompts.block_ids(Prefix.of(problem.text)), torch.tensor(step.token_ids)
        with torch.inference_mode():
            logits = model(torch.tensor([[*prompt, *step.token_ids]])).logits[0, len(prompt) - 1 : -1].float()
        gaps.append(float((logits.amax(1) - logits.gather(1, tokens[:, None])[:, 0]).max()))
    return gaps


def test_greedy_steps_are_those_of_our_own_code(folders: dict[str, Path], servers: Servers, tmp_path: Path) -> None:
    problems = [Problem(str(i), "words", text, "0", str(i)) for i, text in enumerate(draw_prompts(20, 7))]
    plain = [PretrainedModel(name=str(folders[role]), system=SYSTEM, dtype="bfloat16") for role in ROUTERS]
    served = [ServedModel(name=str(folders[role]), system=SYSTEM, max_model_len=2048) for role in ROUTERS]
    ours = open_pair(*plain, {}, GREEDY, StepStore(tmp_path / "a", "p"), batch_size=20)
    theirs = open_pair(*served, {}, GREEDY, StepStore(tmp_path / "b", "p"), 1, servers=servers)
    for role, folder in folders.items():
        steps = first_steps(theirs, role, problems)
        same = sum(a == b for a, b in zip(first_steps(ours, role, problems), steps, strict=True))
        gaps = behind_the_best(folder, problems, steps)
        print(
            f"{role}: {same} of {len(steps)} first steps are the same; vLLM's tokens are at most {max(gaps):.3f} behind"
        )
        assert max(gaps) <= TIE
        assert same >= 0.9 * len(steps)  # behind a tie that falls the other way, all else is another text
