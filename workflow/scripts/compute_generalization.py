"""Compute what routers are worth on datasets that they were not fitted on."""

from trim.config.experiment import Bootstrap
from trim.evaluation.generalization import generalization, latex_generalization, transfer
from trim.evaluation.study import CURVE_COLUMNS, read_dev_episodes, read_episodes, studies
from trim.jobs import open_job

with open_job(snakemake) as job:
    params, output = job.params, job.output
    bootstrap = Bootstrap.model_validate(params.bootstrap)
    main = studies(read_episodes(job.input.episodes, CURVE_COLUMNS), bootstrap, params.seed)
    matrix = generalization(main, bootstrap.level)
    job.write_csv(matrix, output.generalization)
    job.write_text(latex_generalization(matrix), output.generalization_tex)
    dev = read_dev_episodes(job.input.dev, CURVE_COLUMNS)
    job.write_csv(transfer(main, dev, bootstrap.level), output.transfer, exact=["operating_point"])
