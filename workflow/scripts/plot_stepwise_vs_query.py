"""Draw stepwise routers beside query-level ones."""

import pandas as pd

from trim.figures import stepwise_vs_query
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    params, origin = snakemake.params, provenance(snakemake)
    curves, main = pd.read_csv(snakemake.input.curves), pd.read_csv(snakemake.input.main)
    for dataset, *paths in zip(params.datasets, snakemake.output.pdf, snakemake.output.png, strict=True):
        save(stepwise_vs_query.draw(curves, main, dataset, params.trained_on), paths, origin)
