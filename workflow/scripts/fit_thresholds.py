"""Lay the thresholds of TRIM-Thr, pick on dev those of its hull, and keep its episodes on dev."""

import pandas as pd

from trim.files import write_json, write_parquet
from trim.jobs import job, open_job_forests, provenance
from trim.rollout.tables import roll_out_points
from trim.routers.registry import ALONE, threshold_points
from trim.routers.threshold import fit_hull, lay_thresholds

with job(snakemake) as log, open_job_forests(snakemake, "dev") as (dev,):
    params = snakemake.params
    thresholds = lay_thresholds(pd.read_parquet(snakemake.input.scores), params.operating_points)
    if "hull" in params.variants:
        points = threshold_points({"default": [0.0, *thresholds["default"]]})  # the hull starts at weak-only
        thresholds["hull"] = fit_hull(roll_out_points(points, dev))
    kept = {variant: thresholds[variant] for variant in params.variants}
    log.info("thresholds: %s", {variant: len(values) for variant, values in kept.items()})
    episodes = roll_out_points([*ALONE, *threshold_points(kept)], dev)
    write_parquet(episodes, snakemake.output.dev, provenance(snakemake))
    write_json({"thresholds": kept, "provenance": provenance(snakemake)}, snakemake.output.thresholds)
