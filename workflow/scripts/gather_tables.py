"""Join the shards of a table, sorted by problem so that the number of shards leaves no trace."""

import json

import pandas as pd
import pyarrow.parquet as pq

from trim.files import write_parquet
from trim.jobs import open_job

with open_job(snakemake) as job:
    shards = [pd.read_parquet(shard) for shard in job.input.shards]
    table = pd.concat([shard for shard in shards if len(shard)] or shards[:1], ignore_index=True)
    keys = ["problem_id", "replicate", "behaviour", "position"]
    origin = json.loads(pq.read_schema(job.input.shards[0]).metadata[b"trim"])
    write_parquet(table.sort_values(keys, ignore_index=True), job.output.steps, origin)
