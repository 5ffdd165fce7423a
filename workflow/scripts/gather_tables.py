"""Join the shards of a table, sorted by problem so that the number of shards leaves no trace."""

import pandas as pd

from trim.files import read_origin, read_parquet, write_parquet
from trim.jobs import open_job
from trim.layouts import STEPS

with open_job(snakemake) as job:
    shards = [read_parquet(shard, STEPS) for shard in job.input.shards]
    table = pd.concat([shard for shard in shards if len(shard)] or shards[:1], ignore_index=True)
    keys = ["problem_id", "replicate", "behaviour", "position"]
    origin = read_origin(job.input.shards[0])
    write_parquet(table.sort_values(keys, ignore_index=True), job.output.steps, origin)
