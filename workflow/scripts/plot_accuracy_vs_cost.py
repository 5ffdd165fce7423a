"""Draw accuracy against strong tokens."""

from pathlib import Path

import pandas as pd

from trim.evaluation.claims.published import published_points
from trim.figures import accuracy_vs_cost
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    params, origin = snakemake.params, provenance(snakemake)
    curves = pd.read_csv(snakemake.input.curves)
    files = [Path(path) for path in snakemake.input.published]
    for dataset, *paths in zip(params.datasets, snakemake.output.pdf, snakemake.output.png, strict=True):
        published = published_points(files[0].parent, params.published, dataset) if files else None
        save(accuracy_vs_cost.draw(curves, dataset, params.trained_on, published), paths, origin)
