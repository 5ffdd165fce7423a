"""Fit one variant of a router, choose its operating points on dev, and keep its episodes there."""

from pathlib import Path

from trim.config.routers import Routers
from trim.files import read_parquet, written_aside
from trim.jobs import open_job, use_threads
from trim.layouts import SCORED_STEPS
from trim.models.kept import FITS
from trim.rollout.tables import roll_out_points
from trim.routers.controls import ALONE
from trim.routers.kept_fits import LOGS, fit_facts
from trim.routers.registry import step_router
from trim.routers.router import TrainingData

with open_job(snakemake) as job:
    use_threads(job.threads)
    params, given, (name, trained_on, variant, run) = job.params, job.input, job.wildcards
    settings = Routers.model_validate(params.settings)
    router, folder = step_router(name, settings), Path(job.output.folder)
    facts = None
    if router.seeded and params.get("tree_budget"):
        tables = [Path(path) for path in (given.router_train_trees, given.dev_trees, given.solutions) if path]
        facts = fit_facts(router, params.settings, (trained_on, variant, int(run)), params.seed, tables)
    with job.trees(trained_on, "router_train", "dev", labelled=params.labelled) as (trees, dev):
        with written_aside(folder) as aside:
            if facts is None or not job.kept.restore(FITS, facts, aside):
                data = TrainingData(
                    trees,
                    dev,
                    settings,
                    params.labelled,
                    read_parquet(given.solutions, SCORED_STEPS) if given.solutions else None,
                    Path(given.donor) if given.donor else None,
                    aside / LOGS,
                    lambda what: job.progress(f"{what} on {trained_on}"),
                )
                router.fit(variant, data, params.seed + int(run)).save(aside, job.provenance)
                if facts is not None:
                    job.kept.keep(FITS, facts, aside, without=LOGS)
        points = router.load(folder)
        job.log.info("%d operating points", len(points))
        job.write_parquet(roll_out_points([*ALONE, *points], dev), job.output.dev)
        for split, part in (("router_train", trees), ("dev", dev)):
            if part.closed:
                share = part.answered_otherwise / max(part.decisions, 1)
                job.log.info("%s: %.1f %% of the decisions would have left the explored trees", split, 100 * share)
