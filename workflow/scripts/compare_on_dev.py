"""Compare the fitted routers on the dev split, on which they were chosen."""

from pathlib import Path

import pandas as pd

from trim.config import Bootstrap
from trim.evaluation.tables import make_tables
from trim.files import write_csv
from trim.workflow import job

with job(snakemake):
    params, parts = snakemake.params, []
    for path in map(Path, snakemake.input.episodes):
        part = pd.read_parquet(path)
        ends = part["router"].isin(["weak-only", "strong-only"])
        parts.append(part.assign(trained_on=part["dataset"].mask(ends, "untrained")))
    bootstrap = Bootstrap.model_validate(params.bootstrap)
    _, main, comparisons = make_tables(pd.concat(parts, ignore_index=True), params.pair, bootstrap, params.seed)
    write_csv(main, snakemake.output.main)
    write_csv(comparisons, snakemake.output.comparisons)
