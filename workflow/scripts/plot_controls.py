"""Draw the controls of TRIM-Thr and the variants that look ahead, for one dataset."""

from pathlib import Path

import pandas as pd

from trim.figures import controls
from trim.figures.style import save
from trim.workflow import job, provenance

with job(snakemake):
    curves = pd.read_csv(snakemake.input.curves)
    figure = controls.draw(curves, snakemake.wildcards.dataset, snakemake.params.trained_on)
    save(figure, [Path(path) for path in snakemake.output], provenance(snakemake))
