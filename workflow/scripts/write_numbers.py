"""Write the numbers and the narrow tables of the manuscript."""

from pathlib import Path

import pandas as pd

from trim.config.experiment import parse_config
from trim.files import read_json, written_aside
from trim.jobs import open_job
from trim.paper.numbers import all_macros, choose_macros, known_words, render, used_macros
from trim.paper.tables import baseline_table, end_point_table, prm_table, router_table

with open_job(snakemake) as job:
    files, params = job.input, job.params
    tables = {Path(path).stem: pd.read_csv(path) for path in [*files.tables, *files.published]}
    macros = all_macros(tables, params.settings, read_json(files.provenance))
    used = used_macros(Path(files.manuscript).read_text(encoding="utf-8"))
    chosen, lacking, wrong = choose_macros(used, macros, known_words(parse_config({}).model_dump(mode="json")))
    job.log.info("%d numbers in the text, of %d there are", len(chosen), len(macros))
    for name in lacking:
        job.log.warning(r"\%s is a dash: this experiment has no such row", name)
    for name in wrong:
        job.log.error(r"\%s is left undefined: no table has such a row", name)
    shown = (params.dataset, params.trained_on)
    texts = {
        "numbers": render(chosen, f"Written from the tables of {Path(files.provenance).parent}; not to be edited."),
        "end_points": end_point_table(tables["curves"]),
        "routers": router_table(tables["main"], *shown),
        "baselines": baseline_table(tables["comparisons"], *shown),
        "prms": prm_table(tables["prm_quality"]) if "prm_quality" in tables else "",
    }
    for path in map(Path, job.output):
        with written_aside(path) as aside:
            aside.write_text(texts[path.stem], encoding="utf-8")
