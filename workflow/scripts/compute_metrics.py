"""Compute curves, metrics and comparisons from the episodes of all routers."""

from trim.config.experiment import Bootstrap
from trim.evaluation.study import read_episodes
from trim.evaluation.tables import latex_comparisons, latex_main, make_tables, strong_calls
from trim.files import write_json
from trim.jobs import open_job

with open_job(snakemake) as job:
    params, output = job.params, job.output
    episodes = read_episodes(job.input.episodes)
    bootstrap = Bootstrap.model_validate(params.bootstrap)
    curves, main, comparisons = make_tables(episodes, params.pair, bootstrap, params.seed)
    job.write_csv(curves, output.curves, exact=["operating_point"])
    job.write_csv(main, output.main)
    job.write_csv(comparisons, output.comparisons)
    job.write_csv(strong_calls(episodes), output.strong_calls, exact=["operating_point"])
    for text, path in ((latex_main(main), output.main_tex), (latex_comparisons(comparisons), output.comparisons_tex)):
        job.write_text(text, path)
    write_json(job.provenance, output.provenance)
