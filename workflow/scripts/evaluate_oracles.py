"""Solve the test problems of a dataset as routers would that know the truth, on the trees that others explored."""

from pathlib import Path

import pandas as pd

from trim.evaluation.episodes import judge
from trim.evaluation.sweeps import evaluate
from trim.files import write_parquet
from trim.problems.grading import Grader
from trim.problems.problem import read_problems
from trim.rollout.forest import Forest
from trim.workflow import job, open_job_pair, provenance

with job(snakemake) as log, Grader() as grader:
    params, verdict = snakemake.params, judge(grader, exact=True)
    problems = read_problems(Path(snakemake.input.problems))
    with open_job_pair(snakemake, f"{snakemake.wildcards.dataset}.test") as pair:
        forest = Forest(problems, params.replicates, params.pair["max_steps"], verdict, pair)
        forest.load(pd.read_parquet(snakemake.input.forest))
        for router, path in snakemake.output.items():
            table = evaluate(router, [], forest, [])
            write_parquet(table.assign(trained_on="untrained"), path, provenance(snakemake))
