"""Draw the controls of TRIM-Thr and the routers that look ahead."""

import pandas as pd

from trim.figures import controls
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    params, origin = snakemake.params, provenance(snakemake)
    curves = pd.read_csv(snakemake.input.curves)
    for dataset, *paths in zip(params.datasets, snakemake.output.pdf, snakemake.output.png, strict=True):
        save(controls.draw(curves, dataset, params.trained_on), paths, origin)
