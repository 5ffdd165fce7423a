"""What `trim serve` bears: so many clients for so long, with what is lost, how long they wait and what memory it takes.

    python benchmarks/load.py --deployed deployed/embedded [--clients 200] [--seconds 120] [--concurrent 64]
    python benchmarks/load.py --simulated [--kill weak|strong|prm]
    python benchmarks/load.py --write

Each client is the official one (`openai.AsyncOpenAI`, no retries) and asks again as soon as it is answered, every
second one for a stream. Beforehand one client alone asks for the same steps through the server and of the bare models
in turn: the median difference a step is what the server adds. `--simulated` puts the server before three
processes that answer as vLLM does after 0.15 s (weak), 0.6 s (strong) and 0.05 s (PRM); `--kill` kills one of them
after a third of the time, and starts it again later. A row a run is kept in results/benchmarks/load.csv; `--write`
puts them into docs/measured/load.csv and docs/deploy.md.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import openai
import pandas as pd
import psutil
from served import Served, Simulated, simulated

from trim.config.datasets import ArithmeticFamily
from trim.deploy.answering import as_problem
from trim.deploy.manifest import read_manifest
from trim.deploy.opening import Opened, open_deployed
from trim.models.store import StepStore
from trim.problems.arithmetic import draw_problems
from trim.rollout.engine import solve

REPOSITORY = Path(__file__).parents[1]
RESULTS = REPOSITORY / "results" / "benchmarks" / "load.csv"
MEASURED, PAGE = REPOSITORY / "docs" / "measured" / "load.csv", REPOSITORY / "docs" / "deploy.md"
BEGIN, END = "<!-- table: benchmarks/load.py --write -->", "<!-- end of table -->"
ALONE = 15
"""Requests of one client alone."""
PATIENCE = 1800.0


@dataclass
class Seen:
    """What clients saw: how requests ended, and how long they waited."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    steps: int = 0
    prm_down: int = 0

    def percentiles(self, name: str, values: Sequence[float]) -> dict[str, float]:
        """Return the median and the tails of some waiting times."""
        found = np.percentile(values, (50, 95, 99)) if values else [float("nan")] * 3
        return {f"{name}_p{level}": float(value) for level, value in zip((50, 95, 99), found, strict=True)}


def texts() -> list[str]:
    """Return problems of the embedded kind."""
    family = ArithmeticFamily(min_steps=2, max_steps=4)
    problems = draw_problems("load", family, random.Random(0))
    return [next(problems).text for _ in range(500)]


async def ask(client: openai.AsyncOpenAI, model: str, text: str, seed: int, stream: bool, seen: Seen) -> None:
    """Ask once, and note how it ended: answered, refused with a status, or lost."""
    began, told, finish = time.monotonic(), None, None
    asked = {"model": model, "messages": [{"role": "user", "content": text}], "seed": seed}
    try:
        if stream:
            async for piece in await client.chat.completions.create(**asked, stream=True):
                if told is None:
                    seen.first.append(time.monotonic() - began)
                told, finish = piece.model_extra["trim"], piece.choices[0].finish_reason
        else:
            answer = await client.chat.completions.create(**asked)
            told, finish = answer.model_extra["trim"], answer.choices[0].finish_reason
    except openai.APIStatusError as error:
        seen.outcomes[f"refused {error.status_code}"] += 1
    except openai.APIConnectionError as error:
        seen.outcomes[f"lost: {type(error).__name__}"] += 1
    except openai.APIError:  # an event of a stream that had begun
        seen.outcomes["refused in a stream"] += 1
    else:
        seen.outcomes["answered" if finish else "lost: a stream without an end"] += 1
        seen.seconds.append(time.monotonic() - began)
        seen.steps += len(told["steps"])
        seen.prm_down += told["prm_down"]


def client_of(url: str) -> openai.AsyncOpenAI:
    """Return a client; without certificates, which take longer to read than a request."""
    return openai.AsyncOpenAI(
        base_url=f"{url}/v1",
        api_key="none",
        max_retries=0,
        http_client=httpx.AsyncClient(verify=False, timeout=PATIENCE),
    )


async def overhead(url: str, opened: Opened, model: str) -> float:
    """Return the median of the milliseconds that the server adds to a step, one client being there."""
    added, asked = [], texts()
    limit = opened.deployed.manifest.max_steps
    async with client_of(url) as client:
        for seed in range(-1, ALONE):  # the first opens connections and loads models
            began = time.monotonic()
            episode = await solve(as_problem(asked[seed]), opened.at(model).policy, opened.pair, seed + 1, limit)
            bare, seen = time.monotonic() - began, Seen()
            await ask(client, model, asked[seed], seed + 1, False, seen)
            assert seen.steps == len(episode.kept), "the server wrote other steps than the bare models"
            if seed >= 0:
                added.append(1000 * (seen.seconds[0] - bare) / seen.steps)
    return statistics.median(added)


async def load(url: str, model: str, clients: int, seconds: float, until: asyncio.Event) -> Seen:
    """Have clients ask for so long, and wait for their last answers."""
    seen, asked = Seen(), texts()
    ready = [client_of(url) for _ in range(clients)]
    end = time.monotonic() + seconds

    async def work(number: int, client: openai.AsyncOpenAI) -> None:
        async with client:
            turn = 0
            while time.monotonic() < end:
                text, seed = asked[(number + 7 * turn) % len(asked)], 1000 * turn + number
                await ask(client, model, text, seed, (number + turn) % 2 == 1, seen)
                turn += 1

    await asyncio.gather(*(work(number, client) for number, client in enumerate(ready)))
    until.set()
    return seen


async def watch(process: psutil.Process, until: asyncio.Event) -> list[float]:
    """Return the resident memory of a process in MB, a sample a second, until all is answered."""
    sizes = [process.memory_info().rss / 1e6]
    while not until.is_set():
        await asyncio.sleep(1)
        sizes.append(process.memory_info().rss / 1e6)
    return sizes


async def kill(endpoints: Simulated | None, role: str | None, seconds: float) -> None:
    """Kill an endpoint after a third of the time, and start it again after another sixth."""
    if endpoints is None or role is None:
        return
    await asyncio.sleep(seconds / 3)
    endpoints.kill(role)
    await asyncio.sleep(seconds / 6)
    endpoints.start(role)


async def run(
    served: Served, opened: Opened, endpoints: Simulated | None, asked: argparse.Namespace
) -> dict[str, object]:
    """Return what one run measured, as a row."""
    model, until, cores = next(iter(opened.deployed.manifest.points)), asyncio.Event(), psutil.cpu_count()
    added = await overhead(served.url, opened, model)
    seen, sizes, _ = await asyncio.gather(
        load(served.url, model, asked.clients, asked.seconds, until),
        watch(psutil.Process(served.process.pid), until),
        kill(endpoints, asked.kill, asked.seconds),
    )
    others = psutil.getloadavg()[0]
    counted = served.metrics()
    answered, lost = seen.outcomes["answered"], sum(n for o, n in seen.outcomes.items() if o.startswith("lost"))
    assert counted.get("answered", 0) == answered + ALONE + 1 or lost, (counted, seen.outcomes)
    return {
        "clients": asked.clients,
        "seconds": len(sizes) - 1,
        "concurrent": asked.concurrent,
        "requests": seen.outcomes.total(),
        "answered": answered,
        "errors": seen.outcomes.total() - answered - lost,
        "lost": lost,
        "outcomes": "; ".join(f"{outcome}: {count}" for outcome, count in sorted(seen.outcomes.items())),
        **seen.percentiles("seconds", seen.seconds),
        **seen.percentiles("first", seen.first),
        "steps": seen.steps,
        "prm_down_answers": seen.prm_down,
        "rss_start_mb": sizes[0],
        "rss_middle_mb": sizes[len(sizes) // 2],
        "rss_end_mb": sizes[-1],
        "overhead_ms_per_step": added,
        "cores": cores,
        "load_average": others,
    }


def keep(name: str, row: dict[str, object]) -> None:
    """Put a row into the table, in place of an older one of its name."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame([{"run": name, **row}])
    if RESULTS.is_file():
        known = pd.read_csv(RESULTS)
        table = pd.concat([known[known["run"] != name], table], ignore_index=True)
    table.to_csv(RESULTS, index=False, float_format="%.4g", lineterminator="\n")


def lay_out(table: pd.DataFrame) -> list[str]:
    """Return the table in Markdown."""
    lines = [
        "| before | clients, seconds | requests | errors | lost | latency p50, p95, p99 (s) | first step p50, p95 (s) "
        "| steps a second | memory at start, middle, end (MB) | added to a step (ms) | cores, load average |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        cells = [
            f"{row['run']}",
            f"{row['clients']}, {row['seconds']}",
            *(f"{row[name]}" for name in ("requests", "errors", "lost")),
            ", ".join(f"{row[f'seconds_p{level}']:.1f}" for level in (50, 95, 99)),
            ", ".join(f"{row[f'first_p{level}']:.1f}" for level in (50, 95)),
            f"{row['steps'] / row['seconds']:.1f}",
            ", ".join(f"{row[f'rss_{when}_mb']:.0f}" for when in ("start", "middle", "end")),
            f"{row['overhead_ms_per_step']:.1f}",
            f"{row['cores']}, {row['load_average']:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def write() -> None:
    """Put the rows that are there into the documentation."""
    shutil.copyfile(RESULTS, MEASURED)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    table = "\n".join([BEGIN, "", *lay_out(pd.read_csv(MEASURED)), "", END])
    PAGE.write_text(before + table + rest.partition(END)[2], encoding="utf-8")


def main() -> None:
    """Run once and keep the row, or write the documentation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = parser.add_mutually_exclusive_group(required=True)
    models.add_argument("--deployed", type=Path, help="folder of a deployed router")
    models.add_argument("--simulated", action="store_true", help="before endpoints that only wait")
    models.add_argument("--write", action="store_true", help="put what was measured into the documentation")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--concurrent", type=int, default=64)
    parser.add_argument("--kill", choices=("weak", "strong", "prm"), help="endpoint to kill, of simulated ones")
    parser.add_argument("--name", help="what the row is called")
    asked = parser.parse_args()
    if asked.kill and not asked.simulated:
        parser.error("--kill needs --simulated")
    if asked.write:
        write()
        return
    with ExitStack() as stack:
        endpoints = stack.enter_context(simulated()) if asked.simulated else None
        folder = endpoints.folder if endpoints else asked.deployed
        served = stack.enter_context(Served(folder, asked.concurrent, asked.clients))
        store = StepStore(REPOSITORY / "step_store", "load", keeps=False)
        opened = stack.enter_context(open_deployed(read_manifest(folder), store, served.logs))
        row = asyncio.run(run(served, opened, endpoints, asked))
    name = asked.name or (
        f"simulated, {asked.kill} killed" if asked.kill else asked.deployed.name if asked.deployed else "simulated"
    )
    keep(name, row)
    print("\n".join(f"{key}: {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
