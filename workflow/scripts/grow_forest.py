"""Explore the trees of a split in advance, so that routers can be trained without the models."""

from pathlib import Path

from trim.files import write_parquet
from trim.jobs import job, open_job_pair, progress, provenance
from trim.problems.grading import Grader, judge
from trim.problems.problem import read_problems
from trim.rollout.trees import Forest
from trim.rollout.walk import explore

with job(snakemake) as log, Grader() as grader:
    name, params = f"{snakemake.wildcards.dataset}.{snakemake.wildcards.split}", snakemake.params
    problems = read_problems(Path(snakemake.input.problems))
    verdict = judge(grader, exact=params.labelled)
    with open_job_pair(snakemake, name) as pair:
        forest = Forest(problems, params.replicates, params.pair["max_steps"], verdict, pair)
        forest.grow_fully(params.largest_tree, progress(f"forest of {name}, trees"))
        explore(forest)  # of the trees that are too large, at least what the models alone do, and random mixtures
    log.info("%d nodes, %.1f %% of the trees whole", len(forest), 100 * forest.complete().mean())
    write_parquet(forest.table(), snakemake.output.forest, {**provenance(snakemake), "grading": grader.summary()})
