"""Read routers at given budgets: accuracies, and the number of strong steps behind what they solve."""

from trim.config.experiment import Bootstrap
from trim.evaluation.budgets import budgeted, interventions, latex_budgeted, latex_interventions
from trim.evaluation.study import CURVE_COLUMNS, read_episodes, studies
from trim.jobs import open_job

with open_job(snakemake) as job:
    params, output = job.params, job.output
    bootstrap = Bootstrap.model_validate(params.bootstrap)
    episodes = read_episodes(job.input.episodes, [*CURVE_COLUMNS, "strong_calls"])
    main = studies(episodes, bootstrap, params.seed)
    at_budgets = budgeted(main, bootstrap.level)
    calls = interventions(episodes, main, bootstrap.level)
    job.write_csv(at_budgets, output.budgeted)
    job.write_csv(calls, output.interventions, exact=["operating_point"])
    shown = (params.dataset, params.trained_on)
    for text, path in (
        (latex_budgeted(at_budgets, *shown), output.budgeted_tex),
        (latex_interventions(calls, *shown), output.interventions_tex),
    ):
        job.write_text(text, path)
