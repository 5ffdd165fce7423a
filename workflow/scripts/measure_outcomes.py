"""Hold the scores of each PRM on the test rollouts of each dataset against the final answers."""

import pandas as pd

from trim.config.experiment import Bootstrap
from trim.evaluation.prm_outcomes import prm_outcomes, reliability
from trim.files import read_parquet
from trim.jobs import open_job
from trim.layouts import SCORED_STEPS

with open_job(snakemake) as job:
    settings = Bootstrap.model_validate(job.params.bootstrap)
    outcomes, reliabilities = [], []
    for name, path in job.input.items():
        prm, _, dataset = name.partition("/")
        head = {"prm": prm, "dataset": dataset}
        steps = read_parquet(path, SCORED_STEPS)
        outcomes.append(prm_outcomes(steps, settings, f"{job.params.seed}/{dataset}").assign(**head))
        reliabilities.append(reliability(steps).assign(**head))
    for parts, path in zip((outcomes, reliabilities), job.output, strict=True):
        table = pd.concat(parts, ignore_index=True)
        job.write_csv(table[["prm", "dataset", *(c for c in table if c not in ("prm", "dataset"))]], path)
