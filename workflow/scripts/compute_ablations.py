"""Compute the ablations, what their training was worth, and how sure one can be of differences between routers."""

from pathlib import Path

from trim.config.experiment import Bootstrap
from trim.evaluation.ablations import ablations, aucs_on, prm_routing
from trim.evaluation.bands import bands
from trim.evaluation.power import power_note
from trim.evaluation.sampling import sampling
from trim.evaluation.study import CURVE_COLUMNS, read_dev_episodes, read_episodes, studies, studies_by_prm
from trim.evaluation.training import failures, read_looks, training
from trim.files import read_csv
from trim.jobs import open_job

with open_job(snakemake) as job:
    inputs, params, output = job.input, job.params, job.output
    bootstrap = Bootstrap.model_validate(params.bootstrap)
    main = studies(read_episodes(inputs.episodes, CURVE_COLUMNS), bootstrap, params.seed)
    by_prm = studies_by_prm(inputs.by_prm, bootstrap, params.seed)
    compared_on, level = params.get("compared_on", params.main_dataset), bootstrap.level
    aucs = aucs_on(compared_on, read_csv(inputs.quality)) if inputs.quality else {}
    where = (compared_on, params.prm)
    dev = read_dev_episodes(inputs.dev, CURVE_COLUMNS)
    runs = training(studies(dev, bootstrap, f"{params.seed}/dev"), read_looks(map(Path, inputs.learned)), level)
    job.write_csv(runs, output.training)
    job.write_csv(ablations(main, by_prm, *where, level, failures(runs)), output.ablations)
    job.write_csv(bands(main, level), output.bands)
    job.write_csv(prm_routing(main, by_prm, *where, params.main_dataset, aucs, level), output.prm_routing)
    job.write_csv(power_note(main, params.trained_on), output.power)
    settings = ["operating_point", "other_operating_point"]
    job.write_csv(sampling(dev, bootstrap, params.seed), output.sampling, exact=settings)
