"""Build the PDF of the manuscript."""

from pathlib import Path

from trim.jobs import job
from trim.paper.manuscript import build, included

with job(snakemake) as logger:
    sources, figures, tables = (
        [Path(path) for path in files]
        for files in (snakemake.input.sources, snakemake.input.figures, snakemake.input.tables)
    )
    there = {path.stem for path in (*figures, *tables)}
    for kind, names in included(sources[0].read_text(encoding="utf-8")).items():
        for name in sorted(set(names) - there):
            logger.warning("this experiment has no %s %s: a note stands in its place", kind, name)
    build(sources, figures, tables, Path(snakemake.output.pdf), Path(snakemake.log[0]).with_suffix(".latex.log"))
