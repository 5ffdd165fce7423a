"""Draw one figure."""

from trim.figures.registry import figures
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    spec = figures()[snakemake.params.figure]
    save(spec.drawn(snakemake.input, snakemake.params.arguments), snakemake.output, provenance(snakemake))
