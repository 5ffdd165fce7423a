"""Draw the return on dev of the learned routers while they trained."""

from pathlib import Path

import pandas as pd

from trim.figures import learning_curves
from trim.figures.style import save
from trim.workflow import job, provenance

with job(snakemake):
    runs = [learning_curves.read_run(Path(folder)) for folder in snakemake.input.folders]
    figure = learning_curves.draw(pd.concat(runs, ignore_index=True), snakemake.wildcards.trained_on)
    save(figure, [Path(path) for path in snakemake.output], provenance(snakemake))
