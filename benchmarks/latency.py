"""Seconds a problem takes under every router, beside both models alone, one problem at a time and several at once.

    python benchmarks/latency.py OVERLAY [OVERLAY ...] --dataset NAME [--problems 20] [--live 1 8] [--share 0.3]
        [--cache both] [--clock wall] [--threads 1] --out latency.csv

Needs a finished experiment whose pair runs in process: its models, what was fitted and `tables/curves.csv`. Every
router runs at the operating point whose strong share is nearest to --share, without the step store. A row a (method,
live, cached); docs/latency.md says what stands in it. Beside the table, OUT with the ending .yaml holds the measured
seconds per token as prices of kind `seconds`, to be laid over a config: with prefix caches, unless all is `--cache
without`. --clock cpu is for machines on which others compute.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from trim.config.experiment import Experiment
from trim.config.models import GgufModel, GivenPRM, NoisyPRM, PretrainedModel
from trim.config.prices import Parameters, SecondsPrice
from trim.config.reading import read_experiment
from trim.errors import ConfigError, InputError, TrimError
from trim.evaluation.bootstrap import columns, resample_counts, resampled_mean
from trim.evaluation.prices import INPUT, OUTPUT, vector
from trim.files import read_csv
from trim.models.batching import BatchedStepModel, BatchedStepScorer, BatchLoop
from trim.models.generator import StepGenerator
from trim.models.model_kinds import ReaderSource
from trim.models.opening import as_local, build_reader, build_writer, prm_wish
from trim.models.prm_kinds import load_prm
from trim.models.protocols import CutSteps, ModelPair
from trim.models.store import StepStore
from trim.names import in_order
from trim.problems.grading import Grader, judge
from trim.problems.problem import Problem, read_problems
from trim.rollout.engine import Episode, solve
from trim.rollout.tables import OperatingPoint
from trim.rollout.timing import Event, Stopwatch, TimedBackend, TimedReader, TimedRouter, equal_share, hidden_seconds
from trim.routers.controls import ALONE, RandomStep
from trim.routers.registry import control_points, fitted_routers

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
CACHES = {"both": (True, False), "with": (True,), "without": (False,)}
ONE_GO = "strong-in-one-go"
PARTS = ("draft", "prm", "strong_prefill", "strong_decode", "router")


# --- what is timed --------------------------------------------------------------------------


def routed(experiment: Experiment, root: Path, dataset: str, share: float) -> list[OperatingPoint]:
    """Return both models alone, and each router at the operating point whose strong share is nearest to the one given.

    Steps are handed to the strong model at random with the probability that makes that share.
    """
    results, settings = root / experiment.results, experiment.routers
    curves = read_csv(results / "tables/curves.csv")
    curves = curves[curves["dataset"] == dataset]
    home = dataset if dataset in settings.trained_on else settings.trained_on[0]
    points = [*ALONE, *control_points("rsd", settings)]
    random = curves[curves["router"] == "random-step"].sort_values("strong_share")
    if len(random):
        probability = float(np.interp(share, random["strong_share"], random["operating_point"]))
        points.append(OperatingPoint("random-step", "default", probability, RandomStep(probability)))
    for name, router in fitted_routers(settings).items():
        rows = curves[(curves["router"] == name) & (curves["trained_on"] == home)]
        if not len(rows):
            continue
        variant, seed = next(key[1] for key in in_order(rows)), rows["seed"].min()
        rows = rows[(rows["variant"] == variant) & (rows["seed"] == seed)]
        setting = rows["operating_point"].iloc[(rows["strong_share"] - share).abs().argmin()]
        fit, of = router.fitted_as or (name, variant)
        loaded = router.load(results / f"routers/{fit}/{home}/{of}.{seed}")
        points.append(min(loaded, key=lambda point: abs(point.setting - setting)))
    return points


@dataclass
class Models:
    """The models of an experiment, in this process.

    Attributes
    ----------
    readers
        Run the language models.
    prm
        Answers with scores.
    """

    experiment: Experiment
    readers: dict[str, Any]
    prm: Any

    def pairs(self, limit: int, watch: Stopwatch) -> dict[bool, ModelPair]:
        """Return what writes steps (False), and whole solutions in one go (True)."""
        loop, sampling = BatchLoop(), self.experiment.sampling

        def writer(role: str, tokens: int, *, one_go: bool = False) -> Any:
            reader = TimedReader(self.readers[role], watch)
            longest = sampling.model_copy(update={"max_step_tokens": tokens})
            generator = StepGenerator(reader, f"latency/{role}", longest, one_go=one_go)
            part = "draft" if role == "weak" else "strong"
            return BatchedStepModel(TimedBackend(generator, part, watch, reader), generator.identity, loop)

        most = sampling.max_step_tokens
        weak, strong = writer("weak", most), writer("strong", most)
        if self.experiment.long_steps == "cut":
            weak, strong = CutSteps(weak), CutSteps(strong)
        prm = BatchedStepScorer(TimedBackend(self.prm, "prm", watch), "latency/prm", loop)
        return {
            False: ModelPair(weak, strong, prm),
            True: ModelPair(weak, writer("strong", limit, one_go=True), prm),
        }

    def forget(self, budget: int) -> None:
        """Forget all prefixes; from now on, keep so many bytes of them for each model."""
        for model in (*self.readers.values(), getattr(self.prm, "reader", self.prm)):
            model.memory.reset(budget)


def open_models(experiment: Experiment, root: Path, live: int) -> Models:
    """Load both language models and the PRM that routes, for passes of so many live episodes."""
    results, store = root / experiment.results, StepStore(root / experiment.step_store, "")
    name = experiment.pair.prm
    if isinstance(section := experiment.prms[name], NoisyPRM):
        name, section = section.of, experiment.prms[section.of]
    if isinstance(section, GivenPRM):
        raise ConfigError("pair.prm: latency is measured with a PRM that this pipeline trained")
    folder = results / f"models/prm-{name}"
    wish, readers = prm_wish(folder), {}
    for role in ("weak", "strong"):
        spec = as_local(getattr(experiment.pair, role), results / f"models/{role}")
        if not isinstance(spec, PretrainedModel | GgufModel):
            raise ConfigError(f"pair.{role}: latency is measured in process, not of kind {spec.kind}")
        if wish and wish.backbone == role:
            readers[role] = build_reader(spec, store, live, wish=wish, device=experiment.pair.device)
        else:
            readers[role] = build_writer(spec, store, live, experiment.pair.device)
    source = {"reader": ReaderSource("latency", lambda: readers[wish.backbone])} if wish else {}
    return Models(experiment, readers, load_prm(folder, experiment.pair.device, batch_size=live, **source))


# --- timing ---------------------------------------------------------------------------------


@dataclass
class Timed:
    """What a method took: by problem from its start to its end, all in all, and event by event (a list a run)."""

    episodes: list[Episode] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    elapsed: list[float] = field(default_factory=list)
    events: list[list[Event]] = field(default_factory=list)

    def seconds(self, part: str, *, reading: bool | None = None) -> float:
        """Add up a part; of models that write, the reading or the writing alone."""
        found = [event for events in self.events for event in events if event.part == part]
        read = sum(event.reading for event in found)
        whole = sum(event.seconds for event in found)
        return whole if reading is None else read if reading else whole - read

    def tokens(self) -> pd.DataFrame:
        """Return what each episode counted."""
        return pd.DataFrame([asdict(episode.costs) for episode in self.episodes])


def time_all(
    points: Sequence[OperatingPoint],
    problems: list[Problem],
    models: Models,
    live: int,
    budget: int,
    asked: Any,
    what: str = "timed",
) -> list[Timed]:
    """Time every method: one problem after the other under all methods, or several at once under each."""
    watch = Stopwatch(CLOCKS[asked.clock])
    pairs, found = models.pairs(asked.limit, watch), [Timed() for _ in points]

    def run(point: OperatingPoint, group: list[Problem]) -> tuple[float, list[tuple[float, Episode]]]:
        models.forget(budget)
        watch.events = []
        pair, steps = pairs[point.router == ONE_GO], 1 if point.router == ONE_GO else models.experiment.max_steps
        begun = watch.clock()
        solved = asyncio.run(_solve(group, TimedRouter(point.policy, watch), pair, steps, live))
        return watch.clock() - begun, solved

    groups = [[problem] for problem in problems] if live == 1 else [problems]
    said = f"{live} at a time, {'with' if budget else 'without'} prefix cache"
    for number, group in enumerate(groups, 1):
        for point, timed in zip(points, found, strict=True):
            elapsed, solved = run(point, group)
            timed.elapsed.append(elapsed)
            timed.events.append(watch.events)
            timed.waits += [wait for wait, _ in solved]
            timed.episodes += [episode for _, episode in solved]
        print(f"{said}: {number} of {len(groups)} {what}", file=sys.stderr)
    return found


async def _solve(
    problems: list[Problem], router: TimedRouter, pair: ModelPair, steps: int, live: int
) -> list[tuple[float, Episode]]:
    """Solve problems, so many at a time; return how long each took, in their order."""
    found: dict[str, tuple[float, Episode]] = {}
    todo = iter(problems)

    async def work() -> None:
        for problem in todo:
            begun = router.watch.clock()
            episode = await solve(problem, router, pair, 0, steps)
            found[problem.id] = router.watch.clock() - begun, episode

    await asyncio.gather(*(work() for _ in range(live)))
    return [found[problem.id] for problem in problems]


# --- the table ------------------------------------------------------------------------------


def price_of(timed: Sequence[Timed], conditions: str, *, cached: bool) -> SecondsPrice:
    """Return the seconds that a token took, of all methods together; models that remember do not read it again."""
    tokens = pd.concat([one.tokens() for one in timed]).sum()

    def rate(part: str, names: Sequence[str], known: str = "", *, reading: bool | None = None) -> float:
        count = tokens[list(names)].sum() - (tokens[known] if known and cached else 0)
        spent = sum(one.seconds(part, reading=reading) for one in timed)
        return float(f"{spent / count:.4g}") if count else 0.0

    rates: dict[str, Any] = {"prm": {"read": rate("prm", [INPUT["prm"]], "prm_cached_tokens")}}
    for role, part in (("weak", "draft"), ("strong", "strong")):
        read = rate(part, [INPUT[role]], f"{role}_cached_tokens", reading=True)
        rates[role] = {"read": read, "written": rate(part, OUTPUT[role], reading=False)}
    return SecondsPrice(conditions=conditions, cached=cached, **rates)


def table(
    points: Sequence[OperatingPoint],
    timed: Sequence[Timed],
    price: SecondsPrice,
    live: int,
    right: Sequence[Sequence[bool]],
    settings: Any,
) -> list[dict[str, Any]]:
    """Return a row a method."""
    count = len(timed[0].episodes)
    counts = resample_counts(count, settings.resamples, "latency")
    at = {point.router: i for i, point in enumerate(points)}
    seconds = [_seconds(one, counts, live) for one in timed]
    accuracy = [resampled_mean(np.array(one, float), counts) for one in right]
    weak, strong = at["weak-only"], at[ONE_GO]
    alone, rates = timed[at["strong-only"]].tokens()["strong_tokens"].sum(), vector(price, Parameters()) or {}
    rows = []
    for i, (point, one) in enumerate(zip(points, timed, strict=True)):
        tokens = one.tokens()
        row = {"method": point.router, "variant": point.variant, "operating_point": point.setting, "problems": count}
        row |= columns("seconds", seconds[i], settings.level) | {"wait": float(np.mean(one.waits))}
        row |= columns("speedup", seconds[strong] / seconds[i], settings.level)
        parts = [one.seconds(part) for part in ("draft", "prm")]
        parts += [one.seconds("strong", reading=True), one.seconds("strong", reading=False), one.seconds("router")]
        row |= dict(zip((*PARTS, "rest"), (np.array([*parts, sum(one.elapsed) - sum(parts)]) / count), strict=True))
        row["hidden"] = np.mean([hidden_seconds(events) for events in one.events]) if live == 1 else np.nan
        row["estimate"] = sum(rate * tokens[name].mean() for name, rate in rates.items())
        row["strong_share"] = tokens["strong_tokens"].sum() / alone
        row |= columns("accuracy", accuracy[i], settings.level)
        share = equal_share(seconds[i], seconds[weak], seconds[strong])
        row |= columns("random_share", share, settings.level)
        mixed = accuracy[weak] + share.clip(0, 1) * (accuracy[strong] - accuracy[weak])
        rows.append(row | columns("over_random", accuracy[i] - mixed, settings.level))
    return rows


def _seconds(timed: Timed, counts: Any, live: int) -> Any:
    """Return seconds per problem; on resamples too, where every problem had a run of its own."""
    if live == 1:
        return resampled_mean(np.array(timed.elapsed), counts)
    return np.array([sum(timed.elapsed) / len(timed.episodes), *[np.nan] * (len(counts) - 1)])


def conditions_of(asked: Any, experiment: Experiment, live: int, count: int) -> str:
    """Say what was measured."""
    names = [line.split(":", 1)[1].strip() for line in _cpu_info() if line.startswith("model name")]
    if experiment.pair.device != "cpu":
        names = [f"{torch.cuda.get_device_name(experiment.pair.device)} in process, behind {(names or ['?'])[0]}"]
    kinds = dict.fromkeys(getattr(spec, "dtype", "float32") for spec in (experiment.pair.weak, experiment.pair.strong))
    return (
        f"{names[0] if names else 'a CPU of unknown name'}, {asked.threads} thread(s), {asked.clock} clock; "
        f"{' and '.join(kinds)}, {live} problem(s) at a time; {count} problems of "
        f"{asked.dataset}, strong shares near {asked.share:g}"
    )


def _cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def measure(asked: Any, root: Path) -> None:
    """Time everything that is asked for, and write the table and the prices."""
    experiment = read_experiment(root, asked.overlays)
    if asked.dataset not in experiment.evaluated_on:
        raise InputError(f"--dataset {asked.dataset}: routers are evaluated on {', '.join(experiment.evaluated_on)}")
    if min(*asked.live, asked.problems, asked.threads, asked.limit) < 1:
        raise InputError("--live, --problems, --threads and --limit: give numbers from 1 on")
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    problems = read_problems(root / experiment.results / f"problems/{asked.dataset}/test.jsonl")[: asked.problems]
    points = routed(experiment, root, asked.dataset, asked.share)
    points.insert(2, OperatingPoint(ONE_GO, "default", 1.0, ALONE[1].policy))
    torch.set_num_threads(asked.threads)
    rows, prices = [], {}
    with Grader() as grader:
        verdict = judge(grader, exact=experiment.labelled(asked.dataset))
        for live in asked.live:
            models = None  # before the next ones are loaded
            models = open_models(experiment, root, live)
            time_all(points, problems[:1], models, live, experiment.pair.cache_mb << 20, asked, "warmed up")
            for cached in CACHES[asked.cache]:
                budget = experiment.pair.cache_mb << 20 if cached else 0
                timed = time_all(points, problems, models, live, budget, asked)
                if f"seconds-{live}" not in prices:
                    steps = [one for one, point in zip(timed, points, strict=True) if point.router != ONE_GO]
                    conditions = conditions_of(asked, experiment, live, len(problems))
                    prices[f"seconds-{live}"] = price_of(steps, conditions, cached=cached)
                price = prices[f"seconds-{live}"].model_copy(update={"cached": cached})
                right = [[verdict(e.answer, e.problem)[1] for e in one.episodes] for one in timed]
                found = table(points, timed, price, live, right, experiment.bootstrap)
                rows += [{"dataset": asked.dataset, "live": live, "cached": cached, **row} for row in found]
                write(rows, prices, asked.out)


def write(rows: Sequence[dict[str, Any]], prices: dict[str, SecondsPrice], out: Path) -> None:
    """Write what was measured so far: the table, and beside it the prices."""
    pd.DataFrame(rows).to_csv(out, index=False, float_format="%.5g", lineterminator="\n")
    overlay = {"prices": {name: price.model_dump(mode="json") for name, price in prices.items()}}
    out.with_suffix(".yaml").write_text(yaml.safe_dump(overlay, sort_keys=False), encoding="utf-8")


def main() -> int:
    """Write the table and the prices; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overlays", nargs="*", type=Path)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--problems", type=int, default=20, help="how many test problems, the first ones")
    parser.add_argument("--live", type=int, nargs="+", default=[1, 8], help="how many problems at a time")
    parser.add_argument("--cache", choices=CACHES, default="both", help="with prefix caches, without, or both")
    parser.add_argument("--share", type=float, default=0.3, help="strong share at which routers are compared")
    parser.add_argument("--limit", type=int, default=640, help="token limit of a solution in one go")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="what counts as a second")
    parser.add_argument("--threads", type=int, default=1, help="threads that compute")
    parser.add_argument("--out", type=Path, required=True)
    try:
        measure(parser.parse_args(), Path.cwd())
    except TrimError as error:
        print(f"latency: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
