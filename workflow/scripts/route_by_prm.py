"""Fit the routers again on the main dataset with another PRM, and solve the test problems with them."""

from trim.config.routers import Routers
from trim.jobs import open_job, use_threads
from trim.rollout.tables import roll_out_points
from trim.routers.controls import ALONE
from trim.routers.registry import refit
from trim.routers.router import TrainingData

with open_job(snakemake) as job:
    use_threads(job.threads)
    params, prm = job.params, job.wildcards.prm
    splits = ("router_train", "dev", "test")
    with job.trees(params.main_dataset, *splits, labelled=params.labelled) as (trees, dev, test):
        for part in (trees, dev, test):
            part.rescore()
        job.log.info("every step is scored by %s", prm)
        settings = Routers.model_validate(params.settings)
        data = TrainingData(trees, dev, settings, params.labelled, progress=lambda what: job.progress(f"{prm}, {what}"))
        points = [*ALONE, *refit(data, params.seed, params.get("routers", ()))]
        episodes = roll_out_points(points, test, job.progress(f"{prm}, steps"))
    job.write_parquet(episodes.assign(trained_on=params.main_dataset, prm=prm), job.output.episodes)
