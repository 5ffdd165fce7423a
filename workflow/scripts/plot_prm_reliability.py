"""Draw reliability and score distributions of the PRMs."""

from pathlib import Path

import pandas as pd

from trim.figures import prm_reliability
from trim.figures.style import save
from trim.workflow import job, provenance

with job(snakemake):
    figure = prm_reliability.draw(
        pd.read_csv(snakemake.input.quality),
        pd.read_csv(snakemake.input.reliability),
        pd.read_csv(snakemake.input.histogram),
    )
    save(figure, [Path(path) for path in snakemake.output], provenance(snakemake))
