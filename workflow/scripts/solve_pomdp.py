"""Fit and solve one variant of TRIM-POMDP, lay its operating points on dev, and keep its episodes there."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from trim.config.routers import KappaRange, PomdpRouter
from trim.files import write_parquet
from trim.jobs import job, open_job_forests, provenance
from trim.rollout.tables import roll_out_points
from trim.routers.kappas import lay_kappas, tokens_per_solution
from trim.routers.pomdp.disk import load_solved, save_solved
from trim.routers.pomdp.fit import (
    fit_pomdp,
    label_by_score,
    label_nodes,
    observe_forest,
    observe_solutions,
    pomdp_policy,
    solve_pomdp,
)
from trim.routers.registry import pomdp_points

with job(snakemake) as log, open_job_forests(snakemake, "router_train", "dev") as (forest, dev):
    params, variant, file = snakemake.params, snakemake.wildcards.variant, Path(snakemake.output.solved)
    settings, kappas = PomdpRouter.model_validate(params.settings), KappaRange.model_validate(params.kappa).candidates()
    if params.labelled:
        labels = label_nodes(forest)
        observations = observe_forest(forest, labels)
    else:
        labels = label_by_score(forest, settings.first_error_below)
        observations = observe_solutions(pd.read_parquet(snakemake.input.solutions))
    model = fit_pomdp(forest, labels, observations, settings, variant)
    if variant == "transferred":
        model = replace(model, observation=load_solved(Path(snakemake.input.transferred)).model.observation)
    solution = solve_pomdp(model, kappas, tokens_per_solution(forest))
    log.info("largest certified gap between the bounds of a value: %.2g", solution.gap.max())
    origin = {"closeness": settings.closeness, "provenance": provenance(snakemake)}
    save_solved(file, model, solution, kappas, origin)
    solved = load_solved(file)
    laid = lay_kappas(
        lambda kappa: pomdp_policy(solved, variant, kappa, settings.closeness), kappas, dev, params.operating_points
    )
    save_solved(file, model, solution, kappas, {**origin, "operating_points": laid})
    write_parquet(roll_out_points(pomdp_points(file), dev), snakemake.output.dev, provenance(snakemake))
