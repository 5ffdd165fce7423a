"""Check across all datasets that training, selection and test share no problem."""

from pathlib import Path

from trim.files import write_json
from trim.jobs import job, provenance
from trim.problems.problem import Problem, read_problems
from trim.problems.splits import check_disjoint

with job(snakemake):
    splits: dict[str, list[Problem]] = {}
    for path in map(Path, snakemake.input.problems):
        splits.setdefault(path.stem, []).extend(read_problems(path))
    check_disjoint(splits)
    counts = {split: len(problems) for split, problems in splits.items()}
    write_json({"disjoint": True, "problems": counts, "provenance": provenance(snakemake)}, snakemake.output.disjoint)
