"""Draw where along a solution the strong model is called."""

import pandas as pd

from trim.figures import strong_calls
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    params, origin = snakemake.params, provenance(snakemake)
    calls, curves = pd.read_csv(snakemake.input.calls), pd.read_csv(snakemake.input.curves)
    for dataset, *paths in zip(params.datasets, snakemake.output.pdf, snakemake.output.png, strict=True):
        save(strong_calls.draw(calls, curves, dataset, params.trained_on), paths, origin)
