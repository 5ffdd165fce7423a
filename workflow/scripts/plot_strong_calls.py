"""Draw where along a solution the strong model is called."""

from pathlib import Path

import pandas as pd

from trim.figures import strong_calls
from trim.figures.style import save
from trim.workflow import job, provenance

with job(snakemake):
    calls, curves = pd.read_csv(snakemake.input.calls), pd.read_csv(snakemake.input.curves)
    figure = strong_calls.draw(calls, curves, snakemake.wildcards.dataset, snakemake.params.trained_on)
    save(figure, [Path(path) for path in snakemake.output], provenance(snakemake))
