"""Draw the claims of the paper and what became of them."""

from pathlib import Path

import pandas as pd

from trim.figures import claims
from trim.figures.style import save
from trim.workflow import job, provenance

with job(snakemake):
    figure = claims.draw(pd.read_csv(snakemake.input.claims))
    save(figure, [Path(path) for path in snakemake.output], provenance(snakemake))
