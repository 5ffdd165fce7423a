"""Draw where along a solution the strong model is called."""

import pandas as pd

from trim.figures import strong_calls
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    params, origin = job.params, job.provenance
    calls, curves = pd.read_csv(job.input.calls), pd.read_csv(job.input.curves)
    for dataset, *paths in zip(params.datasets, job.output.pdf, job.output.png, strict=True):
        save(strong_calls.draw(calls, curves, dataset, params.trained_on), paths, origin)
