"""Read routers at given budgets: accuracies, and the number of strong steps behind what they solve."""

from trim.config.experiment import Bootstrap
from trim.evaluation.budgets import budgeted, interventions, latex_budgeted, latex_interventions
from trim.evaluation.study import CURVE_COLUMNS, read_episodes, studies
from trim.files import write_csv, written_aside
from trim.jobs import job

with job(snakemake):
    params, output = snakemake.params, snakemake.output
    bootstrap = Bootstrap.model_validate(params.bootstrap)
    episodes = read_episodes(snakemake.input.episodes, [*CURVE_COLUMNS, "strong_calls"])
    main = studies(episodes, bootstrap, params.seed)
    at_budgets = budgeted(main, bootstrap.level)
    calls = interventions(episodes, main, bootstrap.level)
    write_csv(at_budgets, output.budgeted)
    write_csv(calls, output.interventions, exact=["operating_point"])
    shown = (params.dataset, params.trained_on)
    for text, path in (
        (latex_budgeted(at_budgets, *shown), output.budgeted_tex),
        (latex_interventions(calls, *shown), output.interventions_tex),
    ):
        with written_aside(path) as aside:
            aside.write_text(text, encoding="utf-8")
