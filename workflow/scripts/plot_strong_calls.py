"""Draw where along a solution the strong model is called."""

from pathlib import Path

import pandas as pd

from trim.figures import strong_calls
from trim.figures.style import save
from trim.workflow import job, provenance

with job(snakemake):
    figure = strong_calls.draw(
        pd.read_csv(snakemake.input.calls), pd.read_csv(snakemake.input.curves), snakemake.wildcards.dataset
    )
    save(figure, [Path(path) for path in snakemake.output], provenance(snakemake.config))
