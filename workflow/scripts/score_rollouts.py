"""Score every step of a part of the rollouts."""

from pathlib import Path

import pandas as pd

from trim.files import write_parquet
from trim.jobs import job, open_job_scorer, progress, provenance, shard
from trim.problems.problem import read_problems
from trim.rollout.tables import score_table

with job(snakemake):
    wildcards = snakemake.wildcards
    problems = shard(read_problems(Path(snakemake.input.problems)), wildcards.scatteritem)
    texts = {problem.id: problem.text for problem in problems}
    rollouts = pd.read_parquet(snakemake.input.rollouts)
    rollouts = rollouts[rollouts["problem_id"].isin(texts.keys())]
    what = f"scores of {wildcards.dataset}.{wildcards.split}, solutions"
    with open_job_scorer(snakemake, f"{wildcards.dataset}.{wildcards.split}") as prm:
        table = score_table(rollouts, texts, prm, progress(what))
    write_parquet(table, snakemake.output.steps, provenance(snakemake))
