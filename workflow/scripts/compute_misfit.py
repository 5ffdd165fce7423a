"""Hold what the fitted POMDPs promise against the episodes of their policies."""

from pathlib import Path

import pandas as pd

from trim.config.experiment import Bootstrap
from trim.evaluation.misfit import misfit
from trim.evaluation.study import CURVE_COLUMNS, read_dev_episodes, read_episodes, studies
from trim.jobs import open_job
from trim.routers.pomdp.disk import load_solved

with open_job(snakemake) as job:
    bootstrap, seed = Bootstrap.model_validate(job.params.bootstrap), job.params.seed
    promised = {Path(path).parent.name: pd.DataFrame(load_solved(path).promises()) for path in job.input.solved}
    dev = read_dev_episodes(job.input.dev, CURVE_COLUMNS)
    splits = {"dev": studies(dev, bootstrap, f"{seed}/dev")}
    if job.input.test:
        splits["test"] = studies(read_episodes(job.input.test, CURVE_COLUMNS), bootstrap, seed)
    settings = ["kappa"]
    job.write_csv(misfit(promised, splits, "default", bootstrap.level), job.output.misfit, exact=settings)
