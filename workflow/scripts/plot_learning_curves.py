"""Draw the return on dev of the learned routers while they trained."""

from pathlib import Path

import pandas as pd

from trim.figures import learning_curves
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    params, origin = job.params, job.provenance
    folders = [Path(folder) for folder in job.input.folders]
    for dataset, *paths in zip(params.datasets, job.output.pdf, job.output.png, strict=True):
        runs = [learning_curves.read_run(folder) for folder in folders if folder.parent.name == dataset]
        save(learning_curves.draw(pd.concat(runs, ignore_index=True), dataset), paths, origin)
