"""What a sweep of operating points costs: written once into a step store, against afresh for every point in lockstep.

    python -m benchmarks.sweep [--results results/embedded]
    python -m benchmarks.sweep --store FOLDER --results FOLDER [OVERLAY ...] [--dataset NAME] [--out FILE]

The second form counts tokens alone, in the step store of an experiment that is finished, without its models: those of
its own thresholds and kappas on the test problems of one dataset.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.common import Options, Row, add_options, as_options, cpu_seconds, print_rows, write_rows
from benchmarks.lockstep import BATCH, solve_in_lockstep
from benchmarks.pairs import MAX_STEPS, Problems, has_models, no_judge, open_models, says, take_problems
from trim.checks.released_parameters import published_model
from trim.config.experiment import Experiment
from trim.config.reading import read_experiment
from trim.models.opening import open_pair, with_cut_steps
from trim.models.protocols import ModelPair
from trim.models.store import StepStore, StoredStepModel, StoredStepScorer
from trim.problems.problem import read_problems
from trim.rollout.history import Router
from trim.rollout.trees import KEEP, REGENERATE, UNKNOWN, RolloutTrees
from trim.rollout.vectorised import Rollout, roll_out_all
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.solver import solve
from trim.routers.registry import step_router
from trim.routers.threshold import Threshold

PUBLISHED = Path(__file__).parents[1] / "data" / "published"
THRESHOLDS = [round(0.05 * i, 2) for i in range(21)]
COSTS = [0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85]
ENGINE_BATCH = 64
UNMERGED = "the same, without merging equal prefixes"


def sweep_points(results: Path, dataset: str) -> list[Router]:
    """Return 21 thresholds from 0 to 1, and TRIM-POMDP at 8 costs: as the experiment fitted it, or as released."""
    folder = results / "routers" / "trim-pomdp" / dataset / "default.0"
    policies: list[Router]
    if folder.is_dir():
        fitted = [point.policy for point in step_router("trim-pomdp", Experiment().routers).load(folder)]
        policies = [fitted[i] for i in np.linspace(0, len(fitted) - 1, len(COSTS)).round().astype(int)]
    else:
        model = published_model(PUBLISHED, "scores")
        policies = [PomdpPolicy(model, v, c) for c, v in zip(COSTS, solve(model, COSTS, 100).upper, strict=True)]
    return [*map(Threshold, THRESHOLDS), *policies]


def stored(pair: ModelPair, folder: Path) -> tuple[ModelPair, StepStore]:
    """Put a step store before models."""
    store = StepStore(folder, "benchmark")
    assert pair.prm is not None
    models = StoredStepModel(pair.weak, store), StoredStepModel(pair.strong, store), StoredStepScorer(pair.prm, store)
    return ModelPair(*models), store


def solve_once(
    problems: Problems, points: Sequence[Router], pair: ModelPair, replicate: int
) -> tuple[RolloutTrees, list[Rollout]]:
    """Solve problems at all operating points as the workflow does: in trees, behind a step store on disk."""
    with TemporaryDirectory() as scratch:
        behind, store = stored(_Replicate.of(pair, replicate), Path(scratch))
        trees = RolloutTrees(problems, 1, MAX_STEPS, no_judge, behind)
        rollouts = roll_out_all(trees, points)
        store.flush()
    return trees, rollouts


class _Replicate:
    """A language model of which trees ask for the first replicate, and get another one."""

    def __init__(self, model: object, replicate: int) -> None:
        self.identity, self._model, self._replicate = model.identity, model, replicate  # type: ignore[attr-defined]

    async def step(self, prefix, replicate):  # type: ignore[no-untyped-def]
        """Write the step that follows the prefix."""
        return await self._model.step(prefix, self._replicate)  # type: ignore[attr-defined]

    @classmethod
    def of(cls, pair: ModelPair, replicate: int) -> ModelPair:
        """Return a pair that writes another replicate."""
        return ModelPair(cls(pair.weak, replicate), cls(pair.strong, replicate), pair.prm)


def tokens_once(trees: RolloutTrees) -> int:
    """Return how many tokens were written in trees."""
    tokens = trees.nodes["tokens"]
    return int(tokens[tokens != UNKNOWN].sum())


def tokens_of(rollouts: Sequence[Rollout]) -> int:
    """Return how many tokens the episodes hold, each by itself: what writing every point afresh takes."""
    parts = ("weak_tokens", "discarded_tokens", "strong_tokens")
    return sum(int(getattr(rollout, name).sum()) for rollout in rollouts for name in parts)


def tokens_unmerged(trees: RolloutTrees, rollouts: Sequence[Rollout]) -> int:
    """Return how many tokens it takes when prefixes of other authors are others, though their texts be the same."""
    nodes, tokens, seen = trees.nodes, 0, set[tuple[int, bytes, bool]]()
    for rollout in rollouts:
        for tree, node in enumerate(trees.roots().tolist()):
            authors = rollout.strong[tree, : rollout.steps[tree]]
            for position, strong in enumerate(authors.tolist()):
                asked = [(KEEP, False), (REGENERATE, True)][: 1 + strong]
                for action, by_strong in asked:
                    key = tree, authors[:position].tobytes(), by_strong
                    if key not in seen:
                        seen.add(key)
                        tokens += int(nodes["tokens"][node, action])
                node = int(nodes["child"][node, int(strong)])
    return tokens


def measure(options: Options) -> list[Row]:
    """Measure both ways; the tokens of lockstep are counted in the episodes, its time is that of a sample of them."""
    count = options.size(500, 40)
    problems = take_problems(options.results, options.dataset, count)
    points = sweep_points(options.results, options.dataset)
    some = points[:: round(len(points) / options.size(len(points), 4))]
    once, afresh, unmerged, seconds, seconds_afresh = ([] for _ in range(5))
    for replicate in range(options.repetitions):
        ours = open_models(options.results, ENGINE_BATCH)
        (trees, rollouts), spent = cpu_seconds(lambda m=ours, r=replicate: solve_once(problems, points, m, r))
        once.append(tokens_once(trees))
        afresh.append(tokens_of(rollouts))
        unmerged.append(tokens_unmerged(trees, rollouts))
        seconds.append(spent)
        start = replicate * BATCH % max(count - BATCH, 1)
        batch = problems[start : start + BATCH]
        theirs = open_models(options.results, BATCH)

        async def in_lockstep(batch: Problems = batch, m: ModelPair = theirs, r: int = replicate) -> int:
            return sum([(await solve_in_lockstep(batch, router, m, r, MAX_STEPS)).tokens for router in some])

        tokens, spent = cpu_seconds(lambda work=in_lockstep: asyncio.run(work()))
        seconds_afresh.append(spent / tokens * afresh[-1])
    what = f"21 thresholds and 8 costs of TRIM-POMDP, {count} problems"
    how = f"{says(options.results)}; a replicate a repetition"
    rows = [
        Row("sweep", f"tokens written: {what}", "tokens", once, afresh, 8, how=how),
        Row("sweep", UNMERGED, "tokens", unmerged, afresh, 8, how=how),
    ]
    if has_models(options.results):
        how += f"; lockstep extrapolated by tokens from {len(some)} of the points on {BATCH} problems"
        rows.append(Row("sweep", f"time: {what}", "CPU s", seconds, seconds_afresh, 8, how=how))
    return rows


def count_in_store(experiment: Experiment, options: Options, folder: Path) -> list[Row]:
    """Count the tokens of an experiment's own thresholds and costs in its step store, without its models."""
    results, dataset, pair = options.results, options.dataset, experiment.pair
    trained_on = experiment.routers.trained_on
    home = dataset if dataset in trained_on else trained_on[0]
    problems = read_problems(results / f"problems/{dataset}/test.jsonl")
    folders = {role: results / "models" / role for role in ("weak", "strong")}
    folders["prm"] = results / "models" / f"prm-{pair.prm}"
    store = StepStore(folder, f"{dataset}.test", offline=True)
    models = open_pair(pair.weak, pair.strong, folders, experiment.sampling, store, pair.batch_size)
    models = with_cut_steps(models) if experiment.long_steps == "cut" else models
    trees = RolloutTrees(problems, experiment.replicates.test, experiment.max_steps, no_judge, models)
    points = [
        point.policy
        for router in ("trim-thr", "trim-pomdp")
        for point in step_router(router, experiment.routers).load(results / "routers" / router / home / "default.0")
    ]
    rollouts = roll_out_all(trees, points)
    what = f"{len(points)} points of TRIM-Thr and TRIM-POMDP, {len(problems)} problems of {dataset}"
    afresh, how = [tokens_of(rollouts)], f"{pair.name}; counted in the step store of a finished run, at its own points"
    return [
        Row("sweep", f"tokens written: {what}", "tokens", [tokens_once(trees)], afresh, 8, how=how),
        Row("sweep", f"{UNMERGED}: {dataset}", "tokens", [tokens_unmerged(trees, rollouts)], afresh, 8, how=how),
    ]


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("overlays", nargs="*", type=Path, help="of the experiment whose store it is")
    parser.add_argument("--store", type=Path, help="step store of a finished experiment, whose results are --results")
    parser.add_argument("--out", type=Path, help="where the rows of the store go as a table, too")
    asked = parser.parse_args()
    options = as_options(asked)
    if asked.store:
        rows = count_in_store(read_experiment(Path.cwd(), asked.overlays), options, asked.store)
    else:
        rows = measure(options)
    print_rows(rows)
    if asked.out:
        write_rows(rows, asked.out)


if __name__ == "__main__":
    main()
