"""Compute curves, metrics and comparisons from the episodes of all routers."""

from trim.config.experiment import Bootstrap
from trim.evaluation.study import read_episodes
from trim.evaluation.tables import latex_comparisons, latex_main, make_tables, strong_calls
from trim.files import write_csv, write_json, written_aside
from trim.jobs import open_job

with open_job(snakemake) as job:
    params, output = job.params, job.output
    episodes = read_episodes(job.input.episodes)
    bootstrap = Bootstrap.model_validate(params.bootstrap)
    curves, main, comparisons = make_tables(episodes, params.pair, bootstrap, params.seed)
    write_csv(curves, output.curves, exact=["operating_point"])
    write_csv(main, output.main)
    write_csv(comparisons, output.comparisons)
    write_csv(strong_calls(episodes), output.strong_calls, exact=["operating_point"])
    for text, path in ((latex_main(main), output.main_tex), (latex_comparisons(comparisons), output.comparisons_tex)):
        with written_aside(path) as aside:
            aside.write_text(text, encoding="utf-8")
    write_json(job.provenance, output.provenance)
