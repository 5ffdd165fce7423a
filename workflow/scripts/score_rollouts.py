"""Score every step of a part of the rollouts."""

from trim.files import read_parquet
from trim.jobs import open_job
from trim.layouts import STEPS
from trim.rollout.tables import score_table

with open_job(snakemake) as job:
    part = f"{job.wildcards.dataset}.{job.wildcards.split}"
    texts = {problem.id: problem.text for problem in job.shard(job.problems())}
    rollouts = read_parquet(job.input.rollouts, STEPS)
    rollouts = rollouts[rollouts["problem_id"].isin(texts.keys())]
    with job.scorer(part) as prm:
        table = score_table(rollouts, texts, prm, job.progress(f"scores of {part}, solutions"))
    job.write_parquet(table, job.output.steps)
