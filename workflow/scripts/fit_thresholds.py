"""Lay the thresholds of TRIM-Thr, and pick on dev those of its hull."""

from pathlib import Path

import pandas as pd

from trim.evaluation.episodes import episode_table, run_points
from trim.evaluation.sweeps import fit_hull, lay_thresholds, threshold_points
from trim.files import write_json
from trim.problems.grading import Grader
from trim.problems.problem import read_problems
from trim.workflow import job, open_job_pair, progress, provenance

with job(snakemake) as log:
    params, name = snakemake.params, snakemake.wildcards.trained_on
    thresholds = lay_thresholds(pd.read_parquet(snakemake.input.scores), params.thresholds)
    if "hull" in params.variants:
        points = threshold_points({"default": [0.0, *thresholds["default"]]})  # the hull starts at weak-only
        problems = read_problems(Path(snakemake.input.dev))
        with open_job_pair(snakemake, f"{name}.dev") as pair:
            report = progress(f"thresholds on {name}.dev, episodes")
            results = run_points(points, problems, pair, params.replicates, params.pair["max_steps"], report)
        with Grader() as grader:
            thresholds["hull"] = fit_hull(episode_table(results, grader, exact=params.labelled))
    kept = {variant: thresholds[variant] for variant in params.variants}
    log.info("thresholds: %s", {variant: len(values) for variant, values in kept.items()})
    write_json({"thresholds": kept, "provenance": provenance(snakemake)}, snakemake.output.thresholds)
