"""Fit the routers at home with another PRM, and solve the test problems with them."""

from pathlib import Path

from trim.config.routers import Routers
from trim.files import write_parquet
from trim.jobs import job, open_job_forests, progress, provenance, use_threads
from trim.rollout.tables import roll_out_points
from trim.routers.registry import fit_sweeps

with job(snakemake) as log, open_job_forests(snakemake, "router_train", "dev", "test") as (forest, dev, test):
    use_threads(snakemake.threads)
    params, prm = snakemake.params, snakemake.wildcards.prm
    for trees in (forest, dev, test):
        trees.rescore()
    log.info("every step is scored by %s", prm)
    points = fit_sweeps(
        forest, dev, Routers.model_validate(params.routers), params.seed, lambda what: progress(f"{prm}, {what}")
    )
    episodes = roll_out_points(points, test).assign(trained_on=params.home, prm=prm)
    write_parquet(episodes, Path(snakemake.output.episodes), provenance(snakemake))
