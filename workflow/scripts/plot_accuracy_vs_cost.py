"""Draw accuracy against strong tokens for one dataset."""

from pathlib import Path

import pandas as pd

from trim.evaluation.published import published_points
from trim.figures import accuracy_vs_cost
from trim.figures.style import save
from trim.workflow import job, provenance

with job(snakemake):
    dataset, params = snakemake.wildcards.dataset, snakemake.params
    curves = pd.read_csv(snakemake.input.curves)
    files = [Path(path) for path in snakemake.input.published]
    published = published_points(files[0].parent, params.published, dataset) if files else None
    figure = accuracy_vs_cost.draw(curves, dataset, params.trained_on, published)
    save(figure, [Path(path) for path in snakemake.output], provenance(snakemake))
