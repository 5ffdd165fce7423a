"""Measure how well each PRM verifies on the test rollouts of each dataset."""

import pandas as pd

from trim.config.experiment import Bootstrap
from trim.evaluation.prm_quality import calibration, prm_quality, score_histogram
from trim.files import read_parquet
from trim.jobs import open_job
from trim.layouts import SCORED_STEPS, SOLUTION_KEYS

with open_job(snakemake) as job:
    quality, reliability, histogram = [], [], []
    bootstrap = Bootstrap.model_validate(job.params.bootstrap)
    for name, path in job.input.items():
        prm, _, dataset = name.partition("/")
        steps = read_parquet(path, SCORED_STEPS).dropna(subset=["valid"])
        steps["valid"] = steps["valid"].astype(bool)
        head = {"prm": prm, "dataset": dataset}
        quality.append(prm_quality(steps, SOLUTION_KEYS, bootstrap, f"{job.params.seed}/{dataset}").assign(**head))
        reliability.append(calibration(steps["score"], steps["valid"]).assign(**head))
        histogram.append(score_histogram(steps).assign(**head))
    for parts, path in zip((quality, reliability, histogram), job.output, strict=True):
        table = pd.concat(parts, ignore_index=True)
        job.write_csv(table[["prm", "dataset", *(c for c in table if c not in ("prm", "dataset"))]], path)
