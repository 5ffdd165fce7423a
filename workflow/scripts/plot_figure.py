"""Draw one figure."""

from trim.figures.registry import figures
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    spec = figures()[job.params.figure]
    save(spec.drawn(job.input, job.params.arguments), job.output, job.provenance)
