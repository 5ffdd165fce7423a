"""How many tokens a CPU second a real model reads and writes on this machine, by the number of live episodes.

    python benchmarks/cpu_generation.py FOLDER [--live 1 8 32 48 64] [--threads 1 2] [--solutions 0] [--vllm PYTHON]
        [--out rates.csv]

FOLDER holds a model that transformers loads (`trim.models.gguf` makes one of a GGUF file). Reading is that of the
episodes' prompts at once, to a first token behind each; writing is decoding and sampling with that many rows, after
that. CPU time is that of the process, so other load on the machine matters little. With --solutions, so many whole
solutions are written by the engine as well, prompts and thinning batches included.

With --vllm, the interpreter of an environment with vLLM's CPU build (`make test-vllm` sets up `.venv-vllm/bin/python`),
its server reads and writes in place of our own code. CPU time is then that of all its processes: one of them waits for
the model's by spinning. It does more than our side here, which is without engine, text and requests.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # else threads that wait spend CPU time

import httpx
import pandas as pd
import psutil
import torch

from trim.config.models import Sampling, ServedModel
from trim.config.serving import ServerOptions, Serving
from trim.models.batching import BatchedStepModel, BatchLoop
from trim.models.generator import StepGenerator
from trim.models.prompts import PrefixTokenizer
from trim.models.protocols import ModelPair, Prefix
from trim.models.ragged import RaggedReader
from trim.models.sampling import sample
from trim.models.served.models import load_tokenizer
from trim.models.served.servers import Servers
from trim.models.served.vllm import COMPLETIONS, completion_request
from trim.models.transformers_backend import load_model
from trim.problems.problem import Problem
from trim.rollout.engine import Run, solve_all
from trim.routers.controls import WeakOnly

SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
SAMPLING = Sampling(temperature=0.7, top_p=0.8, top_k=20, max_step_tokens=128)
MAX_STEPS = 16
PASSES = 32
LONGEST = 2048
COLUMNS = {
    "read_per_cpu_second": "read/CPU s",
    "read_per_second": " read/s",
    "written_per_cpu_second": "written/CPU s",
    "written_per_second": "written/s",
    "solving_per_cpu_second": "solving/CPU s",
    "solving_per_second": "solving/s",
}


def draw_prompts(count: int, seed: int) -> list[str]:
    """Return word problems of about 60 tokens, no two alike."""
    numbers = random.Random(seed)
    return [
        f"A bakery sells {numbers.randrange(20, 400)} rolls on Monday and {numbers.randrange(2, 9)} times as many on "
        f"Friday. It throws away {numbers.randrange(3, 20)} of them a day. If a roll costs ${numbers.randrange(1, 5)}, "
        f"how many dollars does the bakery take on both days together? (Batch {seed}-{i})"
        for i in range(count)
    ]


class Clock:
    """Tokens a CPU second and a second of the wall clock."""

    def __init__(self, cpu: Callable[[], float] = time.process_time) -> None:
        self._now = cpu
        self._cpu, self._wall = cpu(), time.perf_counter()

    def seconds(self) -> tuple[float, float]:
        """Return CPU seconds and seconds since the clock was made."""
        return self._now() - self._cpu, time.perf_counter() - self._wall

    def rates(self, tokens: int) -> tuple[float, float]:
        """Return both rates since the clock was made."""
        cpu, wall = self.seconds()
        return tokens / cpu, tokens / wall


def measure(reader: RaggedReader, live: int, seed: int) -> list[float]:
    """Return the rates of reading (a CPU second, a second) and of writing, with so many live episodes."""
    prefixes = [Prefix.of(text) for text in draw_prompts(live, seed)]
    reader.batch_size = live
    draws = torch.rand(PASSES + 1, live, dtype=torch.float64)
    clock = Clock()
    rows = [reader.open(prefix, PASSES + 2) for prefix in prefixes]
    for position in range(PASSES + 1):
        tokens = sample(reader.logits()[1], draws[position], SAMPLING)
        for row, token in zip(rows, tokens.tolist(), strict=True):
            reader.feed(row, token)
        if position == 0:
            reading = clock.rates(sum(map(reader.prompts.length, prefixes)))
            clock = Clock()
    writing = clock.rates(PASSES * live)
    for row, prefix in zip(rows, prefixes, strict=True):
        reader.close(row, prefix.extend(""), [0], [])
    return [*reading, *writing]


def solve(reader: RaggedReader, live: int, count: int) -> list[float]:
    """Return the rates of whole solutions, so many episodes being live as long as enough are left."""
    reader.batch_size = live
    model = BatchedStepModel(StepGenerator(reader, "benchmark", SAMPLING), "benchmark", BatchLoop())
    texts = draw_prompts(count, -1)
    runs = [Run(Problem(str(i), "benchmark", text, "0", str(i)), WeakOnly(), 0) for i, text in enumerate(texts)]
    clock = Clock()
    episodes = solve_all(runs, ModelPair(model, model, None), MAX_STEPS)
    return list(clock.rates(sum(episode.costs.weak_tokens for episode in episodes)))


@dataclass
class Table:
    """Prints rows as they come, and writes them behind those that are there, where they are wanted."""

    facts: dict[str, Any]
    out: Path | None

    def add(self, threads: int, live: int, rates: list[float]) -> None:
        """Add a row: rates a CPU second and a second, of reading, writing, and solving where that was asked for."""
        cells = [f"{rate:{len(name)}.1f}" for name, rate in zip(COLUMNS.values(), rates, strict=False)]
        row = " | ".join(map(" ".join, zip(cells[::2], cells[1::2], strict=True)))
        print(f"{threads:7} {live:4} | {row}", flush=True)
        if self.out:
            named = {name: round(rate, 1) for name, rate in zip(COLUMNS, rates, strict=False)}
            found = pd.DataFrame([{**self.facts, "threads": threads, "live": live, **named}])
            before = [pd.read_csv(self.out)] if self.out.exists() else []
            pd.concat([*before, found]).to_csv(self.out, index=False, lineterminator="\n")


def children_cpu() -> float:
    """Return the CPU seconds of all processes that this one started and that live."""
    children = psutil.Process().children(recursive=True)
    return sum(sum(child.cpu_times()[:2]) for child in children)


def measure_served(client: httpx.Client, name: str, prompts: PrefixTokenizer, live: int, seed: int) -> list[float]:
    """Do as `measure`, with a server that keeps no prefixes.

    Reading is one token behind each of so many prompts; writing is what `PASSES` more tokens behind them take.
    """
    ids = [prompts.block_ids(Prefix.of(text)) for text in draw_prompts(live, seed)]

    def ask(tokens: int) -> tuple[float, float]:
        request = completion_request(name, [], tokens, SAMPLING, seed)
        request |= {"prompt": ids, "stop": [], "ignore_eos": True}
        clock = Clock(children_cpu)
        answer = client.post(COMPLETIONS, json=request).raise_for_status().json()
        assert answer["usage"]["completion_tokens"] == tokens * live
        return clock.seconds()

    ask(2)  # the first passes of so many rows load what is loaded late
    first, whole = ask(1), ask(1 + PASSES)
    return [
        *(sum(map(len, ids)) / seconds for seconds in first),
        *(PASSES * live / (more - less) for more, less in zip(whole, first, strict=True)),
    ]


def serve(options: argparse.Namespace, threads: int, table: Table) -> None:
    """Start vLLM's CPU build with so many threads, and lay out its rates."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    environment = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "4", "OMP_NUM_THREADS": str(threads)}
    serving = Serving(
        command=(options.vllm, "-m", "vllm.entrypoints.openai.api_server", "--model"),
        environment={**environment, "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, cores))},
        servers={"weak": ServerOptions(arguments=("--dtype", "bfloat16", "--no-enable-prefix-caching"))},
    )
    name = str(options.folder)
    spec = ServedModel(name=name, max_model_len=LONGEST)
    prompts = PrefixTokenizer(load_tokenizer(spec), system=SYSTEM)
    with TemporaryDirectory() as logs, closing(Servers(serving, Path(logs))) as servers:
        servers.serve("weak", spec)
        with httpx.Client(base_url=servers.client("weak").url, timeout=None, trust_env=False) as client:
            for live in options.live:
                table.add(threads, live, measure_served(client, name, prompts, live, 100 * threads + live))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of a model")
    parser.add_argument("--live", type=int, nargs="+", default=[1, 8, 32, 48, 64], help="numbers of live episodes")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads")
    parser.add_argument("--solutions", type=int, default=0, help="how many whole solutions to write for each")
    parser.add_argument("--vllm", metavar="PYTHON", help="interpreter with vLLM's CPU build, to be measured instead")
    parser.add_argument("--out", type=Path, help="file to which the table is added")
    options = parser.parse_args()
    if options.vllm and options.solutions:
        parser.error("--solutions: whole solutions are written by our own code alone, not with --vllm")
    heads = list(COLUMNS.values())[: 6 if options.solutions else 4]
    print(" | ".join(["threads live", *map(" ".join, zip(heads[::2], heads[1::2], strict=True))]))
    way = "vLLM" if options.vllm else "ours"
    table = Table({"model": options.folder.name, "way": way}, options.out)
    if options.vllm:
        for threads in options.threads:
            serve(options, threads, table)
        return
    model, tokenizer = load_model(options.folder, dtype="bfloat16")
    reader = RaggedReader(model, PrefixTokenizer(tokenizer, system=SYSTEM))
    for threads in options.threads:
        torch.set_num_threads(threads)
        for live in options.live:
            measure(reader, live, -live)  # the first passes of so many rows load what is loaded late
            rates = measure(reader, live, 100 * threads + live)
            rates += solve(reader, live, options.solutions) if options.solutions else []
            table.add(threads, live, rates)
    print(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB of memory")


if __name__ == "__main__":
    main()
