"""Train one variant of TRIM-Agg or TRIM-Seq, lay its operating points on dev, and keep its episodes there."""

from pathlib import Path

import pandas as pd

from trim.config import AggRouter, KappaRange, SeqRouter
from trim.evaluation.episodes import walk_points
from trim.evaluation.sweeps import learned_points
from trim.files import write_csv, write_parquet, written_aside
from trim.routers.storage import save_policies
from trim.training.curriculum import checks_table, lay_kappas, train_router
from trim.workflow import job, open_job_forest, progress, provenance, use_threads

with job(snakemake) as log, open_job_forest(snakemake, "router_train") as forest, open_job_forest(snakemake, "dev") as dev:
    use_threads(snakemake.threads)
    params, (router, trained_on, variant, seed) = snakemake.params, snakemake.wildcards
    settings = (AggRouter if router == "trim-agg" else SeqRouter).model_validate(params.settings)
    kappas = KappaRange.model_validate(params.kappa)
    origin = provenance(snakemake)
    with written_aside(snakemake.output.folder) as aside:
        report = progress(f"training {router} ({variant}) on {trained_on}, decisions")
        learner, trained = train_router(
            settings, variant, forest, dev, kappas, params.seed + int(seed), aside / "tensorboard", report
        )
        served = dict(trained.served)
        laid = list(served)
        if variant == "conditioned":
            network = trained.networks[0]
            laid = lay_kappas(lambda kappa: learner.build(network, kappa), laid, dev, params.operating_points)
        points = [(kappa, served[kappa]) for kappa in laid]
        save_policies(aside, router, learner.encoder, learner.shape, trained.networks, points, origin)
        write_csv(pd.DataFrame(checks_table(trained.checks)), aside / "learning.csv", exact=["kappa", "dev_return"])
    log.info("known transitions: %.2f %%; %d operating points", 100 * trained.known_share, len(points))
    write_parquet(walk_points(learned_points(router, Path(snakemake.output.folder)), dev), snakemake.output.dev, origin)
