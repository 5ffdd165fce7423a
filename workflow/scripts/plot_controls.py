"""Draw the controls of TRIM-Thr and the routers that look ahead."""

import pandas as pd

from trim.figures import controls
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    params, origin = job.params, job.provenance
    curves = pd.read_csv(job.input.curves)
    for dataset, *paths in zip(params.datasets, job.output.pdf, job.output.png, strict=True):
        save(controls.draw(curves, dataset, params.trained_on), paths, origin)
