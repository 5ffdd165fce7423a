"""Compare the fitted routers on the dev split, on which they were chosen."""

from trim.config.experiment import Bootstrap
from trim.evaluation.study import read_dev_episodes
from trim.evaluation.tables import make_tables
from trim.jobs import open_job

with open_job(snakemake) as job:
    params, episodes = job.params, read_dev_episodes(job.input.episodes)
    bootstrap = Bootstrap.model_validate(params.bootstrap)
    _, main, comparisons = make_tables(episodes, params.pair, bootstrap, params.seed)
    job.write_csv(main, job.output.main)
    job.write_csv(comparisons, job.output.comparisons)
