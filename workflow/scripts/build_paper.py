"""Build the PDF of the manuscript."""

from pathlib import Path

from trim.jobs import open_job
from trim.paper.manuscript import build, included

with open_job(snakemake) as job:
    sources, figures, tables = (
        [Path(path) for path in files] for files in (job.input.sources, job.input.figures, job.input.tables)
    )
    there = {path.stem for path in (*figures, *tables)}
    for kind, names in included(sources[0].read_text(encoding="utf-8")).items():
        for name in sorted(set(names) - there):
            job.log.warning("this experiment has no %s %s: a note stands in its place", kind, name)
    build(sources, figures, tables, Path(job.output.pdf), job.log_file.with_suffix(".latex.log"))
