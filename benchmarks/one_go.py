"""What writing step by step costs a model: the strong model in one go, against its own solutions in steps.

    python benchmarks/one_go.py OVERLAY [OVERLAY ...] --dataset NAME [--problems 100] [--limit 640] --out table.csv

Needs the test rollouts of an experiment whose pair runs in process. The model reads the same prompt and samples in the
same way; nothing stops it at a blank line, and one limit of tokens stands in place of those of steps. A row a way, with
accuracy, tokens and the share of solutions without an answer, and a row with the paired difference; intervals are
over problems.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from trim.config.experiment import Experiment
from trim.config.reading import read_experiment
from trim.evaluation.bootstrap import columns, resample_counts, resampled_mean
from trim.files import read_parquet
from trim.layouts import STEPS
from trim.models.generator import StepGenerator
from trim.models.opening import as_local, build_writer
from trim.models.protocols import Prefix, Step
from trim.models.store import StepStore
from trim.problems.answers.boxes import extract_answer
from trim.problems.grading import Grader, judge
from trim.problems.problem import Problem, read_problems


def in_steps(experiment: Experiment, dataset: str, root: Path) -> pd.DataFrame:
    """Return the strong model's solutions in steps: problem_id, correct, tokens, cut."""
    steps = read_parquet(root / experiment.results / f"rollouts/{dataset}.test.parquet", STEPS)
    own = steps[(steps["behaviour"] == "strong-only") & (steps["replicate"] == 0)].sort_values("position")
    found = own.groupby("problem_id").agg(correct=("correct", "first"), tokens=("tokens", "sum"), text=("text", "sum"))
    return found.assign(unanswered=[extract_answer(text) is None for text in found.pop("text")]).reset_index()


def in_one_go(experiment: Experiment, problems: list[Problem], limit: int, root: Path) -> list[Step]:
    """Have the strong model solve the problems without a stop."""
    store = StepStore(root / experiment.step_store, "")
    spec = as_local(experiment.pair.strong, root / experiment.results / "models/strong")
    reader = build_writer(spec, store, experiment.pair.batch_size, "cpu", 1 << 20)
    sampling = experiment.sampling.model_copy(update={"max_step_tokens": limit})
    generator = StepGenerator(reader, "one go", sampling, one_go=True)
    return generator.run([(Prefix.of(problem.text), 0) for problem in problems])


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overlays", nargs="+", type=Path)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--limit", type=int, default=640)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    root, begun = Path.cwd(), time.process_time()
    experiment = read_experiment(root, asked.overlays)
    path = root / experiment.results / f"problems/{asked.dataset}/test.jsonl"
    problems = read_problems(path)[: asked.problems]
    written = in_one_go(experiment, problems, asked.limit, root)
    with Grader() as grader:
        verdict = judge(grader, exact=experiment.labelled(asked.dataset))
        answers = [extract_answer(step.text) for step in written]
        right = [verdict(answer, problem)[1] for answer, problem in zip(answers, problems, strict=True)]
    ids = [problem.id for problem in problems]
    one = pd.DataFrame(
        {"correct": right, "tokens": [s.tokens for s in written], "unanswered": [a is None for a in answers]}, index=ids
    )
    steps = in_steps(experiment, asked.dataset, root).set_index("problem_id").loc[ids]
    counts = resample_counts(len(ids), experiment.bootstrap.resamples, "one go")
    rows = []
    for way, table in {
        "in one go": one,
        "in steps": steps,
        "difference": one.astype(float) - steps.astype(float),
    }.items():
        row = {"dataset": asked.dataset, "way": way, "problems": len(ids)}
        for name in ("correct", "tokens", "unanswered"):
            row |= columns(name, resampled_mean(table[name].to_numpy(np.float64), counts), experiment.bootstrap.level)
        rows.append(row)
    pd.DataFrame(rows).to_csv(asked.out, index=False, float_format="%.4f", lineterminator="\n")
    print(f"{asked.out}: {time.process_time() - begun:.0f} CPU s")


if __name__ == "__main__":
    main()
