"""Draw accuracy against strong tokens for one dataset."""

from pathlib import Path

import pandas as pd

from trim.figures import accuracy_vs_cost
from trim.figures.style import save
from trim.workflow import job, provenance

with job(snakemake):
    figure = accuracy_vs_cost.draw(pd.read_csv(snakemake.input.curves), snakemake.wildcards.dataset)
    save(figure, [Path(path) for path in snakemake.output], provenance(snakemake.config))
