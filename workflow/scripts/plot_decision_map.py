"""Draw the decisions of TRIM-Agg."""

from pathlib import Path

import pandas as pd

from trim.figures import decision_map
from trim.figures.style import save
from trim.jobs import open_job
from trim.routers.learned.disk import load_policies

with open_job(snakemake) as job:
    found, drawn, origin = job.input, job.output, job.provenance
    parts = zip(job.params.datasets, found.folders, found.scores, drawn.pdf, drawn.png, strict=True)
    for dataset, folder, scores, *paths in parts:
        save(decision_map.draw(load_policies(Path(folder)), pd.read_parquet(scores), dataset), paths, origin)
