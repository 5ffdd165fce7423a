"""Check across all datasets that training, selection and test share no problem."""

from pathlib import Path

from trim.jobs import open_job
from trim.problems.problem import Problem, read_problems
from trim.problems.splits import check_disjoint

with open_job(snakemake) as job:
    splits: dict[str, list[Problem]] = {}
    for path in map(Path, job.input.problems):
        splits.setdefault(path.stem, []).extend(read_problems(path))
    check_disjoint(splits)
    counts = {split: len(problems) for split, problems in splits.items()}
    job.write_json({"disjoint": True, "problems": counts}, job.output.disjoint)
