"""Compute what routers are worth on datasets that they were not fitted on."""

from trim.config.experiment import Bootstrap
from trim.evaluation.generalization import generalization, latex_generalization, transfer
from trim.evaluation.study import CURVE_COLUMNS, read_dev_episodes, read_episodes, studies
from trim.files import write_csv, written_aside
from trim.jobs import job

with job(snakemake):
    params, output = snakemake.params, snakemake.output
    bootstrap = Bootstrap.model_validate(params.bootstrap)
    main = studies(read_episodes(snakemake.input.episodes, CURVE_COLUMNS), bootstrap, params.seed)
    matrix = generalization(main, bootstrap.level)
    write_csv(matrix, output.generalization)
    with written_aside(output.generalization_tex) as aside:
        aside.write_text(latex_generalization(matrix), encoding="utf-8")
    dev = read_dev_episodes(snakemake.input.dev, CURVE_COLUMNS)
    write_csv(transfer(main, dev, bootstrap.level), output.transfer, exact=["operating_point"])
