"""Build the latency calculator: a page that turns tokens into seconds, at rates of the reader."""

from pydantic import TypeAdapter

from trim.config.prices import PriceVector
from trim.evaluation.prices import PRICED_COLUMNS
from trim.evaluation.study import read_episodes
from trim.explorer.calculator import count_tokens, render_calculator
from trim.jobs import open_job

with open_job(snakemake) as job:
    params = job.params
    datasets = count_tokens(read_episodes(job.input.episodes, PRICED_COLUMNS), params.trained_on)
    prices = TypeAdapter(dict[str, PriceVector]).validate_python(dict(params.prices))
    job.write_text(render_calculator(datasets, params.experiment, prices), job.output.page)
