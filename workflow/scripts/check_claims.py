"""Judge the claims of the paper by the episodes of all routers, and our metrics by the published curves."""

from pathlib import Path

from trim.config.experiment import Bootstrap
from trim.evaluation.ablations import aucs_on
from trim.evaluation.claims.ledger import latex_claims, ledger, read_auc
from trim.evaluation.claims.prices import price_row
from trim.evaluation.claims.published import Paper, metric_check
from trim.evaluation.claims.statements import MINIMUM_AUC
from trim.evaluation.claims.world import World
from trim.evaluation.study import CURVE_COLUMNS, read_episodes, studies, studies_by_prm
from trim.evaluation.training import failures
from trim.files import read_csv
from trim.jobs import open_job

with open_job(snakemake) as job:
    params, given, output = job.params, job.input, job.output
    bootstrap = Bootstrap.model_validate(params.bootstrap)
    published = Path(given.claims).parent
    quality = read_csv(given.quality) if given.quality else None
    found = studies(read_episodes(given.episodes, CURVE_COLUMNS), bootstrap, params.seed)
    world = World(
        evidence={dataset: found[dataset] for dataset in params.evaluated_on},
        by_prm=studies_by_prm(given.by_prm, bootstrap, params.seed),
        main=params.main_dataset,
        trained_on=params.trained_on,
        prm=params.prm,
        auc={} if quality is None else read_auc(quality, MINIMUM_AUC),
        step_auc={} if quality is None else aucs_on(params.main_dataset, quality),
        paper=Paper(published),
        noisy=params.noisy,
        shares=bootstrap.compared_shares,
        failures=failures(read_csv(given.training)),
    )
    claims = ledger(world, read_csv(given.main), params.models, published, bootstrap.level)
    claims.loc[len(claims)] = price_row(read_csv(given.verdicts))
    job.write_csv(claims, output.claims)
    job.write_csv(metric_check(published), output.metric_check)
    job.write_text(latex_claims(claims), output.claims_tex)
