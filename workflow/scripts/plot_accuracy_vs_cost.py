"""Draw accuracy against strong tokens."""

from pathlib import Path

import pandas as pd

from trim.evaluation.claims.published import published_points
from trim.figures import accuracy_vs_cost
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    params, origin = job.params, job.provenance
    curves = pd.read_csv(job.input.curves)
    files = [Path(path) for path in job.input.published]
    for dataset, *paths in zip(params.datasets, job.output.pdf, job.output.png, strict=True):
        published = published_points(files[0].parent, params.published, dataset) if files else None
        save(accuracy_vs_cost.draw(curves, dataset, params.trained_on, published), paths, origin)
