"""Draw stepwise routers beside query-level ones."""

import pandas as pd

from trim.figures import stepwise_vs_query
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    params, origin = job.params, job.provenance
    curves, main = pd.read_csv(job.input.curves), pd.read_csv(job.input.main)
    for dataset, *paths in zip(params.datasets, job.output.pdf, job.output.png, strict=True):
        save(stepwise_vs_query.draw(curves, main, dataset, params.trained_on), paths, origin)
