"""Train one variant of TRIM-Agg or TRIM-Seq, lay its operating points on dev, and keep its episodes there."""

from functools import partial
from pathlib import Path

import pandas as pd

from trim.config.routers import AggRouter, KappaRange, SeqRouter
from trim.files import write_csv, write_json, write_parquet, written_aside
from trim.jobs import job, open_job_forests, progress, provenance, use_threads
from trim.rollout.tables import roll_out_points
from trim.routers.kappas import lay_kappas
from trim.routers.learned.disk import save_policies
from trim.routers.learned.fit import checks_table, train_router
from trim.routers.registry import learned_points

with job(snakemake) as log, open_job_forests(snakemake, "router_train", "dev") as (forest, dev):
    use_threads(snakemake.threads)
    params, (router, trained_on, variant, run) = snakemake.params, snakemake.wildcards
    settings = (AggRouter if router == "trim-agg" else SeqRouter).model_validate(params.settings)
    kappas, seed = KappaRange.model_validate(params.kappa), params.seed + int(run)
    report = progress(f"training {router} ({variant}) on {trained_on}, decisions")
    folder, origin = Path(snakemake.output.folder), provenance(snakemake)
    with written_aside(folder) as aside:
        logs = aside / "tensorboard"
        learner, trained = train_router(settings, variant, forest, dev, kappas, seed, logs, report)
        points = list(trained.served)
        if variant == "conditioned":
            build = partial(learner.build, trained.networks[0])
            points = [(kappa, 0) for kappa in lay_kappas(build, kappas.candidates(), dev, params.operating_points)]
        save_policies(aside, router, learner.encoder, learner.shape, trained.networks, points, origin)
        known = {"known_transitions": trained.known_share, "provenance": origin}
        write_json(known, aside / "metrics.json")
        write_csv(pd.DataFrame(checks_table(trained.checks)), aside / "learning.csv", exact=["kappa", "dev_return"])
    log.info("known transitions: %.2f %%; %d operating points", 100 * trained.known_share, len(points))
    write_parquet(roll_out_points(learned_points(router, folder), dev), snakemake.output.dev, origin)
