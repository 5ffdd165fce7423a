"""Solve the test problems of a dataset as routers would that know the truth, on the trees that others explored."""

from pathlib import Path

import pandas as pd

from trim.files import write_parquet
from trim.jobs import job, open_job_pair, provenance
from trim.problems.grading import Grader, judge
from trim.problems.problem import read_problems
from trim.rollout.trees import Forest
from trim.routers.oracles import first_error_table, optimum_table

with job(snakemake), Grader() as grader:
    params = snakemake.params
    problems = read_problems(Path(snakemake.input.problems))
    with open_job_pair(snakemake, f"{snakemake.wildcards.dataset}.test") as pair:
        forest = Forest(problems, params.replicates, params.pair["max_steps"], judge(grader, exact=True), pair)
        forest.load(pd.read_parquet(snakemake.input.forest))
        tables = {"first-error-oracle": first_error_table(forest), "perfect-information": optimum_table(forest)}
    for name, path in snakemake.output.items():
        router, trained_on = name.split("/")
        write_parquet(
            tables[router].assign(trained_on=trained_on), path, {**provenance(snakemake), "grading": grader.summary()}
        )
